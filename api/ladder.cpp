#include "api/ladder.hpp"

#include <memory>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/salvage.hpp"
#include "core/faults.hpp"
#include "core/pipeline/put_object.hpp"
#include "core/pipeline/stages.hpp"
#include "core/pipeline/transform_stage.hpp"
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
constexpr auto kAgain = std::chrono::milliseconds(200);

// The receipt up to `,"position":…}`, which the buffer adds when it knows it.
std::string receipt_head(const core::SealedObject& object, std::string_view durability,
                         std::string_view state) {
  const core::Envelope& envelope = object.envelope();
  const boost::json::object receipt = {{"id", envelope.id.str()},
                                       {"tenant", envelope.tenant},
                                       {"sha256", envelope.sha256.hex()},
                                       {"size", envelope.size},
                                       {"stored_size", object.stored_size()},
                                       {"received_at", core::format_time(envelope.received_at)},
                                       {"durability", durability},
                                       {"partition", envelope.partition},
                                       {"state", state}};
  std::string text = boost::json::serialize(receipt);
  text.pop_back();
  return text;
}

std::string name_of(const core::IdempotencyKey& key) {
  return core::sha256(core::as_bytes(key.tenant + '\0' + key.key)).hex();
}

std::string receipt(const core::SealedObject& object, std::string_view durability,
                    std::string_view state) {
  return receipt_head(object, durability, state) + ",\"position\":\"" + std::string(durability) +
         "\"}";
}

}  // namespace

Ladder::Ladder(Services services, const core::Config& config)
    : services_(services), config_(config) {
  Metrics& metrics = services_.metrics;  // what has not happened yet is shown as 0
  for (const char* durability : {config.buffer_durability.c_str(), "spool", "archived"}) {
    metrics.add(metrics.records_acknowledged, {{"durability", durability}}, 0);
  }
  metrics.add(metrics.records_salvaged, {}, 0);
}

Task<Result<void>> Ladder::open() {
  const SteadyTime now = services_.runtime.steady_now();
  // One request waits for a buffer that was just lost; while it stays away, the others do not.
  const bool patient = !down_ || now - down_since_ < kReconnectGrace;
  auto sound = co_await services_.buffer.ready(patient ? now + kReconnectGrace : now);
  if (sound) {
    down_ = false;
    co_return sound;
  }
  if (!down_) down_since_ = now;
  down_ = true;
  if (has_other_way()) co_return Result<void>{};
  co_return sound;
}

bool Ladder::has_other_way() const {
  return services_.spool.has_room() || config_.spool_direct_archive;
}

Task<Result<std::optional<core::SettledRequest>>> Ladder::known(core::IdempotencyKey key) {
  const auto where = services_.spool.find_key(key);
  if (!where) {
    const core::SettledRequest* const kept = settled_.find(key);
    if (buffer_is_up() || kept == nullptr) co_return std::optional<core::SettledRequest>{};
    co_return std::optional(*kept);
  }
  auto head = co_await services_.spool.read_head(*where);
  if (!head) co_return pass(std::move(head));
  co_return std::optional(core::SettledRequest{head->sha256, std::move(head->receipt)});
}

struct Ladder::Line {
  std::unique_ptr<core::Signal> changed;
  bool written = false;
};

std::shared_ptr<Ladder::Line> Ladder::begin_line(const core::Envelope& envelope) {
  const auto line = std::make_shared<Line>(services_.runtime.make_signal());
  services_.runtime.spawn([](std::shared_ptr<Line> state, storage::Trail& trail, core::RecordId id,
                             core::Sha256 sha256, std::uint64_t size) -> Task<> {
    if (auto added = co_await trail.add(id, sha256, size); !added) {
      spdlog::error("trail: {}", added.error().detail);
    }
    state->written = true;
    state->changed->notify_all();
  }(line, services_.trail, envelope.id, envelope.sha256, envelope.size));
  return line;
}

// The trail is for detection: when it fails the record is safe all the same, and admission closes.
Task<> Ladder::wait_for(std::shared_ptr<Line> line) {
  while (!line->written) co_await line->changed->wait(SteadyTime::max());
}

Task<Result<std::string>> Ladder::store(std::shared_ptr<const core::SealedObject> object,
                                        std::optional<core::IdempotencyKey> key) {
  const core::Envelope& envelope = object->envelope();
  const auto line = begin_line(envelope);
  auto stored = co_await climb(object, key);
  if (key && stored) {
    settled_.put(*key, {envelope.sha256, *stored});
    unsettled_.forget(*key);  // from now on the buffer knows it, as long as keys live
  }
  if (key && !stored && stored.error().retry == Retry::unknown_outcome) {
    unsettled_.put(*key, envelope);
  }
  co_await wait_for(line);
  CRASH_POINT("before_answer");
  services_.trail.remark(envelope.id, stored.has_value());
  co_return stored;
}

Task<Result<std::vector<std::string>>> Ladder::store_all(
    std::vector<std::shared_ptr<const core::SealedObject>> objects,
    std::optional<core::IdempotencyKey> key, core::Sha256 digest) {
  std::vector<std::shared_ptr<Line>> lines;
  std::vector<core::AppendItem> items;
  std::uint64_t bytes = 0;
  for (const auto& object : objects) {
    lines.push_back(begin_line(object->envelope()));
    items.push_back({object.get(), receipt_head(*object, config_.buffer_durability, "buffered")});
    bytes += object->stored_size();
  }
  Result<std::vector<core::Appended>> appended =
      core::fail(Code::out_of_space, Origin::buffer, Retry::safe,
                 "Redis's memory has no room above its reserve (buffer.memory_reserve)");
  if (services_.buffer.missing_room(bytes) == 0) {
    appended = co_await services_.buffer.append_all(
        std::move(items), key, digest,
        services_.runtime.steady_now() + config_.buffer_append_timeout);
  }
  for (const auto& line : lines) co_await wait_for(line);
  CRASH_POINT("before_answer");
  for (const auto& object : objects) {
    services_.trail.remark(object->envelope().id, appended.has_value());
    if (appended) acknowledged(config_.buffer_durability);
  }
  if (!appended) co_return pass(std::move(appended));
  std::vector<std::string> receipts;
  for (core::Appended& one : *appended) receipts.push_back(std::move(one.receipt));
  co_return receipts;
}

Task<Result<std::string>> Ladder::climb(std::shared_ptr<const core::SealedObject> shared,
                                        std::optional<core::IdempotencyKey> key) {
  const core::SealedObject& object = *shared;
  const std::string& wanted = config_.buffer_durability;
  if (PLANTED("ack_before_append")) co_return receipt(object, wanted, "buffered");
  if (PLANTED("forget_key")) key.reset();
  CRASH_POINT("before_append");
  const core::Deadline deadline = services_.runtime.steady_now() + config_.buffer_append_timeout;
  Result<core::Appended> appended =
      core::fail(Code::out_of_space, Origin::buffer, Retry::safe,
                 "Redis's memory has no room above its reserve (buffer.memory_reserve)");
  if (services_.buffer.missing_room(object.stored_size()) == 0) {
    services_.fresh.keep(shared);
    appended = co_await services_.buffer.append(object, receipt_head(object, wanted, "buffered"),
                                                key, deadline);
    if (!appended) services_.fresh.forget(object.envelope().id);
  }
  CRASH_POINT("after_append");
  if (appended && PLANTED("store_refused")) {
    co_return core::fail(Code::conflict, Origin::client, Retry::never, "planted");
  }
  if (appended) {
    acknowledged(wanted);
    co_return std::move(appended->receipt);
  }
  core::Error error = appended.error();
  if (error.origin == Origin::client) co_return core::Failure(std::move(error));

  std::string text = receipt(object, "spool", "spooled");
  CRASH_POINT("before_spool");
  const auto added =
      PLANTED("spool_nothing") ? Result<void>{} : co_await services_.spool.add(object, key, text);
  CRASH_POINT("after_spool");
  if (added) {
    acknowledged("spool");
    co_return text;
  }
  // A write or fsync that failed may have left the whole record on the disk, and a later start
  // finds it.
  if (added.error().code == Code::unavailable) error.retry = Retry::unknown_outcome;
  error.detail += ". Spool: " + added.error().detail;
  if (config_.spool_direct_archive) {
    const auto archived = co_await archive(object);
    if (archived) {
      acknowledged("archived");
      co_return receipt(object, "archived", "indexed");
    }
    error.detail += ". Archive: " + archived.error().detail;
    if (archived.error().retry == Retry::unknown_outcome) error.retry = Retry::unknown_outcome;
  }
  if (const auto kept = co_await salvage(object)) {
    error.detail += ". The payload is salvaged as " + *kept;
  }
  if (error.retry == Retry::unknown_outcome) {
    error.detail +=
        ". The record may have been stored: send it again with the same Idempotency-Key.";
  }
  co_return core::Failure(std::move(error));
}

// Object, then row: the pipeline's order, and its safety argument.
Task<Result<void>> Ladder::archive(const core::SealedObject& object) {
  const core::Deadline deadline = services_.runtime.steady_now() + config_.spool_direct_timeout;
  core::pipeline::Passage passage;
  passage.entry = {object.envelope().id, "archived", object.stored_size(), object.stored_sha256()};
  passage.stored_size = object.stored_size();
  passage.stored_sha256 = object.stored_sha256();
  passage.archive_attempts = 1;
  auto head = core::open_head(object.slices().front());
  if (!head) co_return pass(std::move(head));
  passage.head = std::move(*head);
  const auto changed = co_await transform(object);
  if (!changed) co_return pass(changed);
  if (*changed) {
    passage.head = {(*changed)->envelope(), (*changed)->data_offset()};
    passage.stored_size = (*changed)->stored_size();
    passage.stored_sha256 = (*changed)->stored_sha256();
  }
  const core::Slices& stored = *changed ? (*changed)->slices() : object.slices();
  const auto put = [&] {
    return core::pipeline::put_object(services_.objects, services_.disk, passage, stored,
                                      config_.archive_prefix, deadline);
  };
  // Once the object may be there it needs its row, or it is an object without a record and the
  // client sends the record again: a store that fails for a moment is asked again.
  const auto again = [&](const core::Error& error) {
    return error.retry != Retry::never && services_.runtime.steady_now() + kAgain < deadline;
  };
  auto archived = co_await put();
  while (!archived && archived.error().retry == Retry::unknown_outcome && again(archived.error())) {
    co_await services_.runtime.sleep(kAgain);
    archived = co_await put();
  }
  if (!archived) co_return archived;
  const std::vector<core::MetadataRow> rows = {
      core::pipeline::row_of(passage, services_.runtime.now())};
  auto inserted = co_await services_.metadata.insert(rows, deadline);
  while (!inserted && again(inserted.error())) {
    co_await services_.runtime.sleep(kAgain);
    inserted = co_await services_.metadata.insert(rows, deadline);
  }
  // The object is there now, whatever the answer says.
  if (!inserted) inserted.error().retry = Retry::unknown_outcome;
  co_return inserted;
}

Task<Result<Ladder::Transformed>> Ladder::transform(const core::SealedObject& object) {
  if (!services_.transforms.concerns(object.envelope())) co_return nullptr;
  auto envelope = co_await services_.transforms.apply(
      object.envelope(), [this, &object](std::vector<core::JsonPointer> pointers) {
        return payload_values(object, std::move(pointers));
      });
  if (!envelope) co_return pass(std::move(envelope));
  Transformed changed;
  co_await services_.disk.run([&] {
    changed = std::make_unique<const core::ReheadedObject>(
        std::move(*envelope), object.slices(), *core::head_size(object.slices().front()));
  });
  co_return changed;
}

Task<Result<core::transform::PayloadValues>> Ladder::payload_values(
    const core::SealedObject& object, std::vector<core::JsonPointer> pointers) {
  Result<core::transform::PayloadValues> values;
  co_await services_.disk.run([&] {
    const auto offset = core::head_size(object.slices().front());
    values = offset ? core::pipeline::payload_values(object.slices(), {object.envelope(), *offset},
                                                     pointers)
                    : Result<core::transform::PayloadValues>(core::Failure(offset.error()));
  });
  co_return values;
}

Task<Result<std::string>> Ladder::salvage(const core::SealedObject& object) {
  Result<std::string> name;
  co_await services_.disk.run([&] { name = write_salvage(config_.node_data_dir, object); });
  if (!name) {
    spdlog::error("salvage: {}", name.error().detail);
    co_return name;
  }
  services_.metrics.add(services_.metrics.records_salvaged, {});
  spdlog::error("record {} was refused after its body had arrived; its bytes are in {}/{}",
                object.envelope().id.str(), config_.node_data_dir, *name);
  co_return name;
}

std::optional<core::Envelope> Ladder::unsettled(const core::IdempotencyKey& key) const {
  const core::Envelope* const found = unsettled_.find(key);
  return found != nullptr ? std::optional(*found) : std::nullopt;
}

template <class T>
void Ladder::KeyMemory<T>::put(const core::IdempotencyKey& key, T value) {
  std::string name = name_of(key);
  if (!values_.emplace(name, std::move(value)).second) return;
  order_.push_back(std::move(name));
  if (order_.size() <= kept_max_) return;
  values_.erase(order_.front());
  order_.pop_front();
}

// Its name stays in the order until its turn comes; at worst another use of it goes early.
template <class T>
void Ladder::KeyMemory<T>::forget(const core::IdempotencyKey& key) {
  values_.erase(name_of(key));
}

template <class T>
const T* Ladder::KeyMemory<T>::find(const core::IdempotencyKey& key) const {
  const auto found = values_.find(name_of(key));
  return found != values_.end() ? &found->second : nullptr;
}

void Ladder::acknowledged(const std::string& durability) {
  services_.metrics.add(services_.metrics.records_acknowledged, {{"durability", durability}});
}

}  // namespace daybook::api
