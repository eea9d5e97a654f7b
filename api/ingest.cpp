#include "api/ingest.hpp"

#include <algorithm>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/problem.hpp"
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

// A Redis that was restarted is checked and taken again within this time; requests wait for it.
constexpr auto kReconnectGrace = std::chrono::milliseconds(500);

// The receipt up to `,"position":…}`, which the buffer adds when it knows it.
std::string make_receipt_head(const core::SealedObject& object) {
  const core::Envelope& envelope = object.envelope();
  const boost::json::object receipt = {{"id", envelope.id.str()},
                                       {"tenant", envelope.tenant},
                                       {"sha256", envelope.sha256.hex()},
                                       {"size", envelope.size},
                                       {"stored_size", object.stored_size()},
                                       {"received_at", core::format_time(envelope.received_at)},
                                       {"durability", envelope.durability},
                                       {"partition", envelope.partition},
                                       {"state", "buffered"}};
  std::string text = boost::json::serialize(receipt);
  text.pop_back();
  return text;
}

io::HttpAnswer receipt_answer(int status, const core::RecordId& id, const std::string& receipt) {
  io::HttpAnswer answer = json_answer(status, receipt + "\n");
  answer.fields.add("Location", "/v1/records/" + id.str());
  return answer;
}

io::HttpAnswer repetition_answer(const core::SettledRequest& first) {
  boost::system::error_code error;
  const auto receipt = boost::json::parse(first.receipt, error);
  io::HttpAnswer answer = json_answer(200, first.receipt + "\n");
  if (!error && receipt.is_object() && receipt.get_object().contains("id")) {
    answer.fields.add("Location",
                      "/v1/records/" + std::string(receipt.get_object().at("id").get_string()));
  }
  return answer;
}

Result<io::HttpAnswer> judge_repetition(const core::SettledRequest& first,
                                        const core::Sha256& digest) {
  if (digest == first.sha256) return repetition_answer(first);
  return core::fail(Code::conflict, Origin::client, Retry::never,
                    "This idempotency key was used for another payload (its SHA-256 is " +
                        first.sha256.hex() + "). Use a new key for a new record.");
}

core::Failure digest_mismatch(const core::Sha256& expected, const core::Sha256& actual) {
  return core::fail(Code::digest_mismatch, Origin::client, Retry::safe,
                    "Content-Digest promised SHA-256 " + expected.hex() + " but the body has " +
                        actual.hex() + "; nothing was stored. Send it again.");
}

}  // namespace

struct Ingest::Upload {
  core::Envelope envelope;
  std::optional<core::IdempotencyKey> key;
  std::optional<core::Sha256> expected;
  std::optional<core::SettledRequest> first;  // this is a repetition
  bool reserved = false;
  Admission::Ticket ticket;
  SteadyTime began;
  SteadyTime last_byte;
  SteadyTime append_began;
  SteadyTime acknowledged;
};

Ingest::Ingest(Services services, const core::Config& config)
    : services_(std::move(services)),
      config_(config),
      admission_({services_.runtime, services_.buffer, services_.memory, services_.metrics},
                 config),
      blocks_(config.ingest_memory_max / core::limits::kBlockBytes / 4) {}

Task<> Ingest::handle(io::HttpExchange& exchange) {
  Upload upload;
  upload.began = services_.runtime.steady_now();
  auto answer = co_await accept(exchange, upload);
  if (!answer) {
    const core::Error& error = answer.error();
    // An append of unknown outcome may still happen (a Redis that was stopped goes on reading): its
    // key stays reserved until the lease ends, so that a repetition cannot be stored beside it.
    if (upload.reserved && error.retry != Retry::unknown_outcome) {
      co_await services_.buffer.abandon(*upload.key, upload.envelope.id);
    }
    if (http_status(error) >= 500) {
      spdlog::warn("record refused with {}: {}", http_status(error), error.detail);
    }
    answer = problem(error, admission_.refused(error, upload.began.time_since_epoch().count()));
  }
  services_.metrics.add(services_.metrics.http_requests,
                        {{"route", "/v1/records"}, {"status", std::to_string(answer->status)}});
  static_cast<void>(co_await exchange.respond(std::move(*answer)));
}

Task<Result<io::HttpAnswer>> Ingest::accept(io::HttpExchange& exchange, Upload& upload) {
  auto head = read_ingest_head(exchange.head(), config_);
  if (!head) co_return pass(std::move(head));
  upload.envelope = std::move(head->envelope);
  upload.key = std::move(head->key);
  upload.expected = head->expected;
  if (auto admitted = co_await admit(exchange, upload); !admitted) {
    co_return pass(std::move(admitted));
  }
  upload.envelope.partition = services_.buffer.partition_of(upload.key);
  upload.envelope.id = ids_.next(services_.runtime.now(), upload.envelope.partition);
  if (upload.key) {
    auto first = co_await reserve(upload);
    if (!first) co_return pass(std::move(first));
    upload.first = std::move(*first);
    if (upload.first && upload.expected)
      co_return judge_repetition(*upload.first, *upload.expected);
  }
  const int level = upload.first ? 0 : static_cast<int>(config_.ingest_compression_level);
  core::PayloadSealer sealer(services_.runtime, services_.workers, blocks_, lines_, level);
  if (auto received = co_await receive(exchange, upload, sealer); !received) {
    co_return pass(std::move(received));
  }
  auto sealed = co_await sealer.finish();
  if (upload.expected && *upload.expected != sealed.sha256) {
    co_return digest_mismatch(*upload.expected, sealed.sha256);
  }
  if (upload.first) co_return judge_repetition(*upload.first, sealed.sha256);
  co_return co_await store(upload, std::move(sealed));
}

Task<Result<void>> Ingest::admit(io::HttpExchange& exchange, Upload& upload) {
  const core::http::RequestHead& head = exchange.head();
  if (const auto coding = head.fields.find("Content-Encoding");
      coding && !core::equals_ignoring_case(*coding, "identity")) {
    // RFC 9110 section 8.4; Daybook compresses by itself.
    co_return core::fail(
        Code::unsupported, Origin::client, Retry::never,
        "Content-Encoding is not taken: send the bytes themselves, or say what they "
        "are with Content-Type (application/gzip, application/zstd).");
  }
  if (auto open = services_.admission(); !open) co_return open;
  const core::Deadline soon = upload.began + kReconnectGrace;
  if (auto sound = co_await services_.buffer.ready(soon); !sound) co_return sound;
  co_return co_await admission_.admit(head, exchange.peer(), upload.began, upload.ticket);
}

Task<Result<std::optional<core::SettledRequest>>> Ingest::reserve(Upload& upload) {
  auto reservation = co_await services_.buffer.reserve(
      *upload.key, upload.envelope.id,
      services_.runtime.steady_now() + config_.buffer_append_timeout);
  if (!reservation) co_return pass(std::move(reservation));
  if (auto* first = std::get_if<core::SettledRequest>(&*reservation)) {
    co_return std::optional(std::move(*first));
  }
  if (std::holds_alternative<core::RequestInFlight>(*reservation)) {
    co_return core::fail(Code::in_flight, Origin::client, Retry::safe,
                         "A request with this idempotency key is being received right now; ask "
                         "again when it has ended.");
  }
  upload.reserved = true;
  co_return std::optional<core::SettledRequest>{};
}

Task<Result<void>> Ingest::receive(io::HttpExchange& exchange, Upload& upload,
                                   core::PayloadSealer& sealer) {
  const bool chunked = exchange.head().framing == core::http::Framing::chunked;
  std::uint64_t size = 0;
  for (;;) {
    co_await sealer.make_room();
    const auto bytes = co_await exchange.read_body(sealer.room());
    if (!bytes) co_return pass(bytes);
    if (*bytes == 0) break;
    size += *bytes;
    if (size > config_.ingest_body_bytes_max) {
      co_return core::fail(Code::too_large, Origin::client, Retry::never,
                           "The body is larger than " +
                               core::format_size(config_.ingest_body_bytes_max) +
                               " (ingest.body_bytes_max); nothing was stored. Split it.");
    }
    sealer.filled(*bytes);
    if (chunked) {
      auto grown = admission_.grow(upload.ticket, size + core::limits::kBlockBytes);
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

Task<Result<io::HttpAnswer>> Ingest::store(Upload& upload, core::PayloadSealer::Sealed sealed) {
  core::Envelope& envelope = upload.envelope;
  envelope.size = sealed.size;
  envelope.sha256 = sealed.sha256;
  envelope.received_at = services_.runtime.now();
  envelope.durability = config_.buffer_durability;
  for (const core::ByteVector& frame : sealed.frames) {
    envelope.frames.push_back(static_cast<std::uint32_t>(frame.size()));
  }
  std::optional<core::SealedObject> object;
  co_await services_.workers.run([&] { object.emplace(envelope, std::move(sealed.frames)); });
  upload.ticket.sealed(object->stored_size());
  upload.append_began = services_.runtime.steady_now();
  auto appended = co_await append_and_trail(*object, make_receipt_head(*object), upload);
  if (!appended) co_return pass(std::move(appended));
  upload.acknowledged = services_.runtime.steady_now();
  upload.reserved = false;
  upload.ticket.appended();
  admission_.accepted();
  observe(upload, sealed);
  co_return receipt_answer(201, envelope.id, appended->receipt);
}

Task<Result<core::Appended>> Ingest::append_and_trail(const core::SealedObject& object,
                                                      std::string receipt_head, Upload& upload) {
  struct Line {
    std::unique_ptr<core::Signal> changed;
    bool written = false;
  };
  const auto line = std::make_shared<Line>(services_.runtime.make_signal());
  const core::Envelope& envelope = object.envelope();
  services_.runtime.spawn([](std::shared_ptr<Line> state, storage::Trail& trail, core::RecordId id,
                             core::Sha256 sha256, std::uint64_t size) -> Task<> {
    if (auto added = co_await trail.add(id, sha256, size); !added) {
      spdlog::error("trail: {}", added.error().detail);
    }
    state->written = true;
    state->changed->notify_all();
  }(line, services_.trail, envelope.id, envelope.sha256, envelope.size));
  auto appended =
      co_await services_.buffer.append(object, std::move(receipt_head), upload.key,
                                       upload.append_began + config_.buffer_append_timeout);
  // The trail is for detection: when it fails the record is safe all the same, and admission
  // closes.
  while (!line->written) co_await line->changed->wait(SteadyTime::max());
  if (!appended && appended.error().retry == Retry::unknown_outcome) {
    appended.error().detail +=
        ". The record may have been stored: send it again with the same Idempotency-Key.";
  }
  co_return appended;
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
