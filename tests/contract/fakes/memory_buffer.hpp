// MemoryBuffer: the buffer port in memory. Several nodes may share one Store, as several processes
// share one Redis. Any operation can be made to fail, before or after it took effect, and to take
// time. One thread.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/ports/runtime.hpp"
#include "core/ports/write_ahead_buffer.hpp"

namespace daybook::tests {

enum class BufferOperation {
  reserve,
  append,
  read,
  read_own_pending,
  claim,
  starts,
  note_starts,
  renew,
  load,
  release,
  park,
  parked,
  unpark,
  drop,
  find,
  read_range,
  stats,
};

// A failure to be: `after` it had its effect (the answer was lost) or instead of it.
struct BufferFault {
  core::Error error;
  bool after = false;
};

struct MemoryBufferStore {
  struct Pending {
    core::BufferEntry entry;
    std::string owner;  // empty: nobody was given it yet
    core::SteadyTime renewed{};
  };
  struct Key {
    core::RecordId id;
    std::optional<core::SettledRequest> settled;
  };

  std::map<std::uint64_t, Pending> stream;  // by the number in the position
  std::map<core::RecordId, std::uint64_t> pending;
  std::map<core::RecordId, core::ParkedRecord> parked;
  std::map<core::RecordId, std::string> bytes;
  std::map<std::pair<std::string, std::string>, Key> keys;
  std::uint64_t next_position = 1;
  std::uint64_t accepted = 0;
  std::uint64_t released = 0;
  std::map<core::RecordId, core::DroppedRecord> dropped;
  std::map<core::RecordId, std::uint32_t> starts;  // 1 where there is none
  // Called for each entry at the moment it leaves the buffer.
  std::function<void(const core::BufferEntry&)> on_release;
};

class MemoryBuffer final : public core::WriteAheadBuffer {
 public:
  MemoryBuffer(core::Runtime& runtime, std::shared_ptr<MemoryBufferStore> store, std::string node)
      : runtime_(runtime),
        store_(std::move(store)),
        node_(std::move(node)),
        appended_(runtime.make_signal()) {}

  // --- for tests ---
  void fail_next(BufferOperation operation, std::size_t times, core::Error error,
                 bool after = false) {
    for (std::size_t i = 0; i < times; ++i) faults_[index(operation)].push_back({error, after});
  }
  // Asked at every call when no fault is queued.
  std::function<std::optional<BufferFault>(BufferOperation)> decide;
  core::Result<void> health_now;
  [[nodiscard]] std::size_t calls(BufferOperation operation) const {
    return calls_[index(operation)];
  }
  [[nodiscard]] const std::vector<core::SteadyTime>& renewals() const { return renewals_; }
  [[nodiscard]] MemoryBufferStore& store() { return *store_; }
  // An entry as an acknowledged upload would leave it.
  core::BufferEntry put(core::RecordId id, std::string object) {
    core::BufferEntry entry{id, {}, object.size(), core::sha256(core::as_bytes(object))};
    store_->bytes[id] = std::move(object);
    ++store_->accepted;
    entry = add_to_stream(std::move(entry));
    appended_->notify_all();
    return entry;
  }
  // The same entry once more, as after a claim or a lost answer.
  void deliver_again(const core::RecordId& id) {
    auto& entry = store_->stream.at(store_->pending.at(id));
    entry.owner.clear();
    appended_->notify_all();
  }

  // --- the port ---
  [[nodiscard]] core::Result<void> health() const override { return health_now; }
  core::Task<core::Result<void>> ready(core::Deadline /*deadline*/) override {
    co_return health_now;
  }
  [[nodiscard]] std::uint32_t partition_of(const std::optional<core::IdempotencyKey>&) override {
    return 0;
  }

  core::Task<core::Result<core::Reservation>> reserve(core::IdempotencyKey key, core::RecordId id,
                                                      core::Deadline) override {
    const auto fault = take_fault(BufferOperation::reserve);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    const auto [at, made] =
        store_->keys.try_emplace({key.tenant, key.key}, MemoryBufferStore::Key{id, std::nullopt});
    if (fault) co_return core::Failure(fault->error);
    if (at->second.settled) co_return core::Reservation(*at->second.settled);
    if (at->second.id != id) co_return core::Reservation(core::RequestInFlight{});
    co_return core::Reservation(core::RequestReserved{});
  }

  core::Task<> abandon(core::IdempotencyKey key, core::RecordId id) override {
    const auto at = store_->keys.find({key.tenant, key.key});
    if (at != store_->keys.end() && at->second.id == id && !at->second.settled) {
      store_->keys.erase(at);
    }
    co_return;
  }

  core::Task<core::Result<core::Appended>> append(const core::SealedObject& object,
                                                  std::string receipt_head,
                                                  std::optional<core::IdempotencyKey> key,
                                                  core::Deadline) override {
    const auto fault = take_fault(BufferOperation::append);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    const core::RecordId id = object.envelope().id;
    if (!store_->pending.contains(id)) {
      std::string bytes;
      for (core::Bytes slice : object.slices()) bytes += core::as_text(slice);
      put(id, std::move(bytes));
    }
    const std::string position = store_->stream.at(store_->pending.at(id)).entry.position;
    const std::string receipt = receipt_head + ",\"position\":\"" + position + "\"}";
    if (key) {
      store_->keys[{key->tenant, key->key}] = {
          id, core::SettledRequest{object.envelope().sha256, receipt}};
    }
    if (fault) co_return core::Failure(fault->error);
    co_return core::Appended{position, receipt};
  }

  core::Task<core::Result<std::vector<core::Appended>>> append_all(
      std::vector<core::AppendItem> items, std::optional<core::IdempotencyKey> key,
      core::Sha256 digest, core::Deadline deadline) override {
    std::vector<core::Appended> all;
    std::string receipts;
    for (core::AppendItem& item : items) {
      auto appended = co_await append(*item.object, item.receipt_head, std::nullopt, deadline);
      if (!appended) co_return pass(appended);
      receipts += (receipts.empty() ? "[" : ",") + appended->receipt;
      all.push_back(std::move(*appended));
    }
    if (key) {
      store_->keys[{key->tenant, key->key}] = {items.front().object->envelope().id,
                                               core::SettledRequest{digest, receipts + "]"}};
    }
    co_return all;
  }

  core::Task<core::Result<std::vector<core::BufferEntry>>> read(std::size_t max,
                                                                core::Duration wait) override {
    const auto fault = take_fault(BufferOperation::read);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    std::vector<core::BufferEntry> entries = give(max);
    if (entries.empty() && !fault) {
      co_await appended_->wait(runtime_.steady_now() + wait);
      entries = give(max);
    }
    if (fault) co_return core::Failure(fault->error);
    co_return entries;
  }

  core::Task<core::Result<std::vector<core::BufferEntry>>> read_own_pending(
      core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::read_own_pending)) {
      co_return core::Failure(fault->error);
    }
    std::vector<core::BufferEntry> entries;
    for (auto& [number, pending] : store_->stream) {
      if (pending.owner == node_) entries.push_back(pending.entry);
    }
    co_return entries;
  }

  core::Task<core::Result<std::vector<core::BufferEntry>>> claim(core::Duration lease,
                                                                 std::size_t max,
                                                                 core::Deadline) override {
    const auto fault = take_fault(BufferOperation::claim);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    std::vector<core::BufferEntry> entries;
    for (auto& [number, pending] : store_->stream) {
      if (pending.owner.empty() || entries.size() == max) continue;
      if (runtime_.steady_now() - pending.renewed < lease) continue;
      own(pending);
      entries.push_back(pending.entry);
    }
    if (fault) co_return core::Failure(fault->error);
    co_return entries;
  }

  core::Task<core::Result<std::vector<std::uint32_t>>> starts(
      std::vector<core::BufferEntry> entries, core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::starts)) co_return core::Failure(fault->error);
    std::vector<std::uint32_t> counts;
    for (const core::BufferEntry& entry : entries) {
      const auto at = store_->starts.find(entry.id);
      counts.push_back(at == store_->starts.end() ? 1 : at->second);
    }
    co_return counts;
  }

  core::Task<core::Result<void>> note_starts(std::vector<core::StartCount> counts,
                                             core::Deadline) override {
    const auto fault = take_fault(BufferOperation::note_starts);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    for (const core::StartCount& count : counts) {
      if (store_->pending.contains(count.entry.id)) store_->starts[count.entry.id] = count.starts;
    }
    if (fault) co_return core::Failure(fault->error);
    co_return core::Result<void>{};
  }

  core::Task<core::Result<void>> renew(std::vector<core::BufferEntry> entries,
                                       core::Deadline) override {
    renewals_.push_back(runtime_.steady_now());
    const auto fault = take_fault(BufferOperation::renew);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    for (const core::BufferEntry& entry : entries) {
      const auto at = store_->stream.find(std::stoull(entry.position));
      if (at != store_->stream.end()) own(at->second);
    }
    if (fault) co_return core::Failure(fault->error);
    co_return core::Result<void>{};
  }

  core::Task<core::Result<std::string>> load(core::RecordId id, core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::load)) co_return core::Failure(fault->error);
    const auto at = store_->bytes.find(id);
    if (at == store_->bytes.end()) co_return gone(id);
    co_return at->second;
  }

  core::Task<core::Result<void>> release(std::vector<core::BufferEntry> entries,
                                         core::Deadline) override {
    const auto fault = take_fault(BufferOperation::release);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    for (const core::BufferEntry& entry : entries) {
      store_->stream.erase(std::stoull(entry.position));
      if (store_->pending.erase(entry.id) == 0) continue;
      if (store_->on_release) store_->on_release(entry);
      store_->bytes.erase(entry.id);
      store_->starts.erase(entry.id);
      ++store_->released;
    }
    if (fault) co_return core::Failure(fault->error);
    co_return core::Result<void>{};
  }

  core::Task<core::Result<void>> park(core::ParkedRecord record, core::Deadline) override {
    const auto fault = take_fault(BufferOperation::park);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    store_->stream.erase(std::stoull(record.entry.position));
    store_->starts.erase(record.entry.id);
    if (store_->pending.erase(record.entry.id) == 1) {
      store_->parked[record.entry.id] = std::move(record);
    }
    if (fault) co_return core::Failure(fault->error);
    co_return core::Result<void>{};
  }

  core::Task<core::Result<std::vector<core::ParkedRecord>>> parked(core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::parked)) co_return core::Failure(fault->error);
    std::vector<core::ParkedRecord> records;
    for (const auto& [id, record] : store_->parked) records.push_back(record);
    co_return records;
  }

  core::Task<core::Result<std::size_t>> unpark(std::vector<core::RecordId> ids,
                                               core::Deadline) override {
    const auto fault = take_fault(BufferOperation::unpark);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    std::size_t count = 0;
    for (const core::RecordId& id : ids) {
      const auto at = store_->parked.find(id);
      if (at == store_->parked.end()) continue;
      add_to_stream(at->second.entry);
      store_->parked.erase(at);
      ++count;
    }
    appended_->notify_all();
    if (fault) co_return core::Failure(fault->error);
    co_return count;
  }

  core::Task<core::Result<std::optional<core::ParkedRecord>>> find_parked(core::RecordId id,
                                                                          core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::parked)) co_return core::Failure(fault->error);
    const auto at = store_->parked.find(id);
    if (at == store_->parked.end()) co_return std::optional<core::ParkedRecord>{};
    co_return at->second;
  }

  core::Task<core::Result<bool>> drop(core::DroppedRecord record, core::Deadline) override {
    const auto fault = take_fault(BufferOperation::drop);
    if (fault && !fault->after) co_return core::Failure(fault->error);
    const core::RecordId id = record.id;
    const bool was_parked = store_->parked.erase(id) == 1;
    if (was_parked) {
      store_->bytes.erase(id);
      store_->dropped[id] = std::move(record);
    }
    if (fault) co_return core::Failure(fault->error);
    co_return was_parked;
  }

  core::Task<core::Result<std::optional<core::DroppedRecord>>> dropped(core::RecordId id,
                                                                       core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::find)) co_return core::Failure(fault->error);
    const auto at = store_->dropped.find(id);
    if (at == store_->dropped.end()) co_return std::optional<core::DroppedRecord>{};
    co_return at->second;
  }

  core::Task<core::Result<std::optional<core::BufferedHead>>> find(core::RecordId id,
                                                                   core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::find)) co_return core::Failure(fault->error);
    const auto parked = store_->parked.find(id);
    const auto pending = store_->pending.find(id);
    if (parked == store_->parked.end() && pending == store_->pending.end()) co_return std::nullopt;
    core::BufferedHead head;
    head.state =
        parked != store_->parked.end() ? core::BufferState::parked : core::BufferState::pending;
    head.entry = parked != store_->parked.end() ? parked->second.entry
                                                : store_->stream.at(pending->second).entry;
    auto opened = core::open_head(core::as_bytes(store_->bytes.at(id)));
    if (!opened) co_return pass(std::move(opened));
    head.head = std::move(*opened);
    co_return std::optional(std::move(head));
  }

  core::Task<core::Result<core::ByteVector>> read_range(core::RecordId id, std::uint64_t offset,
                                                        std::uint64_t length,
                                                        core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::read_range)) co_return core::Failure(fault->error);
    const auto at = store_->bytes.find(id);
    if (at == store_->bytes.end() || offset + length > at->second.size()) co_return gone(id);
    const core::Bytes part = core::as_bytes(at->second).subspan(offset, length);
    co_return core::ByteVector(part.begin(), part.end());
  }

  core::Task<core::Result<core::BufferStats>> stats(core::Deadline) override {
    if (auto fault = take_fault(BufferOperation::stats)) co_return core::Failure(fault->error);
    core::BufferStats figures;
    figures.accepted = store_->accepted;
    figures.released = store_->released;
    figures.pending = store_->pending.size();
    figures.parked = store_->parked.size();
    figures.dropped = store_->dropped.size();
    for (const auto& [id, bytes] : store_->bytes) figures.bytes += bytes.size();
    co_return figures;
  }

 private:
  static constexpr std::size_t kOperations = static_cast<std::size_t>(BufferOperation::stats) + 1;
  static std::size_t index(BufferOperation operation) {
    return static_cast<std::size_t>(operation);
  }
  static core::Failure gone(const core::RecordId& id) {
    return core::fail(core::Code::not_found, core::Origin::buffer, core::Retry::never,
                      "no bytes of " + id.str());
  }

  std::optional<BufferFault> take_fault(BufferOperation operation) {
    ++calls_[index(operation)];
    auto& queued = faults_[index(operation)];
    if (queued.empty()) return decide ? decide(operation) : std::nullopt;
    BufferFault fault = std::move(queued.front());
    queued.pop_front();
    return fault;
  }
  core::BufferEntry add_to_stream(core::BufferEntry entry) {
    const std::uint64_t number = store_->next_position++;
    entry.position = std::to_string(number);
    store_->pending[entry.id] = number;
    store_->stream[number] = {entry, {}, {}};
    return entry;
  }
  void own(MemoryBufferStore::Pending& pending) {
    pending.owner = node_;
    pending.renewed = runtime_.steady_now();
  }
  std::vector<core::BufferEntry> give(std::size_t max) {
    std::vector<core::BufferEntry> entries;
    for (auto& [number, pending] : store_->stream) {
      if (!pending.owner.empty() || entries.size() == max) continue;
      own(pending);
      entries.push_back(pending.entry);
    }
    return entries;
  }

  core::Runtime& runtime_;
  std::shared_ptr<MemoryBufferStore> store_;
  std::string node_;
  std::unique_ptr<core::Signal> appended_;
  std::array<std::deque<BufferFault>, kOperations> faults_;
  std::array<std::size_t, kOperations> calls_{};
  std::vector<core::SteadyTime> renewals_;
};

}  // namespace daybook::tests
