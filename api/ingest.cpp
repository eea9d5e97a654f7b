#include "api/ingest.hpp"

#include <algorithm>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/problem.hpp"
#include "core/faults.hpp"
#include "core/limits.hpp"
#include "core/sealed_object.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::SteadyTime;
using core::Task;

// So much of a body must be there before it is given memory. Whoever sends at all sends it at once,
// and the kernel's buffer takes it.
constexpr std::size_t kBodyBeginBytes = 16 * core::KiB;

// The receipt with the level that was waited for.
std::string at_level(const std::string& receipt, Level level) {
  boost::system::error_code error;
  auto value = boost::json::parse(receipt, error);
  if (error || !value.is_object()) return receipt;
  value.get_object()["durability"] = "archived";
  value.get_object()["state"] = level == Level::indexed ? "indexed" : "archived";
  return boost::json::serialize(value);
}

// Of a receipt that comes from the buffer; empty where it is none.
std::optional<core::RecordId> id_in(const std::string& receipt) {
  boost::system::error_code error;
  const auto value = boost::json::parse(receipt, error);
  if (error || !value.is_object()) return std::nullopt;
  const auto* id = value.get_object().if_contains("id");
  if (id == nullptr || !id->is_string()) return std::nullopt;
  return core::RecordId::parse(std::string_view(id->get_string()));
}

// was: what is known of the payload that came first under this key.
core::Failure conflict(const core::Sha256& first, std::string_view was = "") {
  return core::fail(Code::conflict, Origin::client, Retry::never,
                    "This idempotency key was used for another payload" + std::string(was) +
                        " (its SHA-256 is " + first.hex() + "). Use a new key for a new record.");
}

core::Failure too_large(const core::Config& config) {
  return core::fail(Code::too_large, Origin::client, Retry::never,
                    "The body is larger than " + core::format_size(config.ingest_body_bytes_max) +
                        " (ingest.body_bytes_max); nothing was stored. Split it.");
}

core::Failure digest_mismatch(const core::Sha256& expected, const core::Sha256& actual) {
  return core::fail(Code::digest_mismatch, Origin::client, Retry::safe,
                    "Content-Digest or Repr-Digest promised SHA-256 " + expected.hex() +
                        " but the body has " + actual.hex() +
                        "; nothing was stored. Send it again.");
}

}  // namespace

Ingest::Ingest(Services services, const core::Config& config)
    : services_(std::move(services)),
      config_(config),
      admission_({services_.runtime, services_.buffer, services_.memory, services_.metrics,
                  [this] { return services_.ladder.has_other_way(); }},
                 config),
      blocks_(config.ingest_memory_max / core::limits::kBlockBytes / 4) {}

Task<Result<Ingest::Taken>> Ingest::take(Upload& upload, RecordSource& source) {
  upload.began = services_.runtime.steady_now();
  auto taken = co_await accept(upload, source);
  if (!taken) co_await refuse(upload, taken.error());
  co_return taken;
}

Task<Result<Ingest::Taken>> Ingest::take_late(Upload& upload, LateSource& source) {
  upload.began = services_.runtime.steady_now();
  auto taken = co_await accept_late(upload, source);
  if (!taken) co_await refuse(upload, taken.error());
  co_return taken;
}

Task<> Ingest::refuse(Upload& upload, core::Error error) {
  // An append of unknown outcome may still happen (a Redis that was stopped goes on reading): its
  // key stays reserved until the lease ends, so that a repetition cannot be stored beside it.
  if (upload.reserved && error.retry != Retry::unknown_outcome) {
    co_await services_.buffer.abandon(*upload.key, upload.envelope.id);
  }
  if (http_status(error) >= 500) {
    spdlog::warn("record refused with {}: {}", http_status(error), error.detail);
  }
  upload.retry_after_s = admission_.refused(error, upload.began.time_since_epoch().count());
}

Task<Result<Deposited>> Ingest::deposit(Deposit deposit) {
  if (auto sound = check_attributes(deposit.envelope); !sound) co_return pass(std::move(sound));
  if (deposit.payload.size() > config_.ingest_body_bytes_max) co_return too_large(config_);
  Upload upload;
  upload.envelope = std::move(deposit.envelope);
  upload.key = std::move(deposit.key);
  upload.expected = deposit.expected;
  upload.peer = std::move(deposit.peer);
  upload.on_identified = std::move(deposit.on_identified);
  MemorySource source(deposit.payload);
  auto taken = co_await take(upload, source);
  if (!taken) co_return pass(std::move(taken));
  co_return Deposited{taken->first, taken->id.value_or(core::RecordId{}),
                      std::move(taken->receipt)};
}

Task<Result<Ingest::Taken>> Ingest::accept(Upload& upload, RecordSource& source) {
  if (auto admitted = co_await admit(upload, source); !admitted) co_return pass(admitted);
  if (auto identified = co_await identify(upload); !identified) co_return pass(identified);
  if (upload.first && upload.expected) {
    co_return co_await repeat(*upload.first, *upload.expected, upload);
  }
  const int level = upload.first ? 0 : static_cast<int>(config_.ingest_compression_level);
  core::PayloadSealer sealer = make_sealer(level);
  if (auto received = co_await receive(upload, source, sealer); !received) {
    co_return pass(std::move(received));
  }
  auto sealed = co_await sealer.finish();
  if (upload.expected && *upload.expected != sealed.sha256) {
    co_return digest_mismatch(*upload.expected, sealed.sha256);
  }
  if (upload.first) co_return co_await repeat(*upload.first, sealed.sha256, upload);
  co_return co_await store(upload, std::move(sealed));
}

Task<Result<Ingest::Taken>> Ingest::accept_late(Upload& upload, LateSource& source) {
  if (auto admitted = co_await admit(upload, source); !admitted) co_return pass(admitted);
  auto sealer = make_sealer(static_cast<int>(config_.ingest_compression_level));
  auto received = co_await receive(upload, source, sealer);
  auto first_form = co_await sealer.finish();
  auto sealed = co_await source.settle(upload, std::move(received), std::move(first_form));
  if (!sealed) co_return pass(std::move(sealed));
  if (auto identified = co_await identify(upload); !identified) co_return pass(identified);
  if (upload.first) co_return co_await repeat(*upload.first, sealed->sha256, upload);
  co_return co_await store(upload, *std::move(sealed));
}

Task<Result<void>> Ingest::admit(Upload& upload, RecordSource& source) {
  if (auto open = services_.admission(); !open) co_return open;
  if (auto sound = co_await services_.ladder.open(); !sound) co_return sound;
  // A body that dribbles in holds no memory and takes nobody's turn before its beginning is there.
  if (auto begun = co_await source.arrives(kBodyBeginBytes); !begun) co_return begun;
  co_return co_await admission_.admit(source.bytes_max(), source.memory(), upload.peer,
                                      services_.runtime.steady_now(), upload.ticket);
}

Task<Result<void>> Ingest::identify(Upload& upload) {
  upload.envelope.partition = services_.buffer.partition_of(upload.key);
  if (upload.key) upload.unsettled = services_.ladder.unsettled(*upload.key);
  upload.envelope.id = upload.unsettled
                           ? upload.unsettled->id
                           : ids_.next(services_.runtime.now(), upload.envelope.partition);
  if (upload.on_identified) upload.on_identified();
  if (!upload.key) co_return Result<void>{};
  auto first = co_await reserve(upload);
  if (!first) co_return pass(std::move(first));
  upload.first = std::move(*first);
  co_return Result<void>{};
}

Task<Result<std::optional<core::SettledRequest>>> Ingest::reserve(Upload& upload) {
  const auto in_flight = core::fail(
      Code::in_flight, Origin::client, Retry::safe,
      "A request with this idempotency key is being received right now; ask again when it has "
      "ended.");
  const auto [held, fresh] = keys_in_flight_.insert(upload.key->tenant + '\0' + upload.key->key);
  if (!fresh) co_return in_flight;
  upload.held_key = std::shared_ptr<void>{
      static_cast<void*>(this), [this, held](void* /*ingest*/) { keys_in_flight_.erase(held); }};
  auto spooled = co_await services_.ladder.known(*upload.key);
  if (!spooled || *spooled) co_return spooled;
  if (!services_.ladder.buffer_is_up()) co_return std::optional<core::SettledRequest>{};
  auto reservation = co_await services_.buffer.reserve(
      *upload.key, upload.envelope.id,
      services_.runtime.steady_now() + config_.buffer_append_timeout);
  if (!reservation) {
    // Where the buffer went away just now, the ladder goes on without it.
    if (services_.ladder.buffer_is_up()) co_return pass(reservation);
    if (auto other = co_await services_.ladder.open(); !other) co_return pass(reservation);
    co_return co_await services_.ladder.known(*upload.key);
  }
  if (auto* first = std::get_if<core::SettledRequest>(&*reservation)) {
    co_return std::optional(std::move(*first));
  }
  if (std::holds_alternative<core::RequestInFlight>(*reservation)) co_return in_flight;
  upload.reserved = true;
  co_return std::optional<core::SettledRequest>{};
}

Task<Result<void>> Ingest::receive(Upload& upload, RecordSource& source,
                                   core::PayloadSealer& sealer) {
  const bool size_known = source.bytes_max().has_value();
  std::uint64_t size = 0;
  for (;;) {
    co_await sealer.make_room();
    const auto bytes = co_await source.read(sealer.room());
    if (!bytes) co_return pass(bytes);
    if (*bytes == 0) break;
    size += *bytes;
    if (size > source.size_limit(config_.ingest_body_bytes_max)) co_return too_large(config_);
    sealer.filled(*bytes);
    if (!size_known) {
      auto grown =
          admission_.grow(upload.ticket, size + core::limits::kBlockBytes, source.memory());
      if (!grown) co_return grown;
    }
  }
  upload.last_byte = services_.runtime.steady_now();
  if (size == 0) {
    co_return core::fail(Code::invalid_argument, Origin::client, Retry::never,
                         "The body is empty; a record has at least 1 byte.");
  }
  co_return Result<void>{};
}

void Ingest::complete(core::Envelope& envelope, const core::PayloadSealer::Sealed& sealed) const {
  envelope.size = sealed.size;
  envelope.sha256 = sealed.sha256;
  envelope.received_at = services_.runtime.now();
  envelope.durability = config_.buffer_durability;
  for (const core::ByteVector& frame : sealed.frames) {
    envelope.frames.push_back(static_cast<std::uint32_t>(frame.size()));
  }
}

Task<Result<Ingest::Taken>> Ingest::store(Upload& upload, core::PayloadSealer::Sealed sealed) {
  core::Envelope& envelope = upload.envelope;
  complete(envelope, sealed);
  if (upload.unsettled) {
    if (upload.unsettled->sha256 != envelope.sha256 ||
        upload.unsettled->frames != envelope.frames) {
      co_return conflict(upload.unsettled->sha256, ", which may have been stored");
    }
    envelope = std::move(*upload.unsettled);
  }
  std::shared_ptr<const core::SealedObject> object;
  co_await services_.workers.run([&] {
    object = std::make_shared<const core::SealedObject>(envelope, std::move(sealed.frames));
  });
  upload.ticket.sealed(object->stored_size());
  upload.append_began = services_.runtime.steady_now();
  auto receipt = co_await services_.ladder.store(object, upload.key);
  if (!receipt && receipt.error().code == Code::in_flight && !upload.reserved) {
    // The buffer could not be asked about the key when the request came; now it answers.
    auto asked = co_await services_.buffer.reserve(
        *upload.key, envelope.id, services_.runtime.steady_now() + config_.buffer_append_timeout);
    if (asked && std::holds_alternative<core::SettledRequest>(*asked)) {
      co_return co_await repeat(std::get<core::SettledRequest>(*asked), envelope.sha256, upload);
    }
    upload.reserved = asked && std::holds_alternative<core::RequestReserved>(*asked);
  }
  if (!receipt) co_return pass(std::move(receipt));
  upload.acknowledged = services_.runtime.steady_now();
  upload.reserved = false;
  upload.held_key = nullptr;
  upload.ticket.appended();
  admission_.accepted();
  observe(upload, sealed);
  object = nullptr;
  upload.ticket.give_back();
  co_return co_await acknowledge({true, envelope.id, std::move(*receipt)}, upload);
}

Task<Result<Ingest::Taken>> Ingest::repeat(const core::SettledRequest& first,
                                           const core::Sha256& digest, const Upload& upload) {
  if (digest != first.sha256 && !PLANTED("conflict_answers_first")) {
    co_return conflict(first.sha256);
  }
  co_return co_await acknowledge({false, id_in(first.receipt), first.receipt}, upload);
}

Task<Result<Ingest::Taken>> Ingest::acknowledge(Taken taken, const Upload& upload) {
  if (upload.level == Level::safe || !taken.id) co_return taken;
  const core::Deadline deadline = services_.runtime.steady_now() + config_.ingest_wait_max;
  if (!co_await services_.wait_for(*taken.id, upload.level, deadline)) {
    const std::string id = taken.id->str();
    co_return core::fail(Code::unavailable, Origin::self, Retry::unknown_outcome,
                         "Record " + id + " is safe, but did not get as far as was asked within " +
                             core::format_duration(config_.ingest_wait_max) +
                             " (ingest.wait_max), so that is not claimed. Ask GET /v1/records/" +
                             id + "?wait=indexed, or send it again with the same Idempotency-Key.");
  }
  taken.receipt = at_level(taken.receipt, upload.level);
  co_return taken;
}

void Ingest::observe(const Upload& upload, const core::PayloadSealer::Sealed& sealed) {
  Metrics& metrics = services_.metrics;
  metrics.add(metrics.ingest_bytes, {}, static_cast<double>(sealed.size));
  const auto seconds = [&metrics](const char* step, core::Duration took) {
    metrics.observe(metrics.ingest_seconds, {{"step", step}}, took);
  };
  seconds("receive", upload.last_byte - upload.began);
  seconds("hash", sealed.hashing);
  seconds("compress", sealed.compressing);
  seconds("buffer", upload.acknowledged - upload.append_began);
  seconds("total", upload.acknowledged - upload.began);
  seconds("last_byte_to_ack", upload.acknowledged - upload.last_byte);
}

}  // namespace daybook::api
