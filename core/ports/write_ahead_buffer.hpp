// Port: the durable write-ahead buffer. A record that append() has answered for is buffered: it is
// safe at the durability the buffer was configured for. Adapter: storage/redis_buffer.
// Errors have origin buffer. A connection that breaks in append is retry unknown_outcome.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/result.hpp"
#include "core/sealed_object.hpp"
#include "core/task.hpp"

namespace daybook::core {

// Names a request that a client may send again. Equal keys of one tenant are one request.
struct IdempotencyKey {
  std::string tenant;
  std::string key;
};

struct SettledRequest {
  Sha256 sha256;        // of the payload of the first request
  std::string receipt;  // the first receipt, byte for byte
};
struct RequestInFlight {};
struct RequestReserved {};
using Reservation = std::variant<RequestReserved, SettledRequest, RequestInFlight>;

struct Appended {
  std::string position;
  std::string receipt;  // complete, with the position
};

// One record of several that are appended together.
struct AppendItem {
  const SealedObject* object;  // outlives the call
  std::string receipt_head;    // as append() takes it
};

// One entry as a worker gets it: small, the bytes are loaded when there is room for them.
struct BufferEntry {
  RecordId id;
  std::string position;
  std::uint64_t stored_size = 0;
  Sha256 stored_sha256;

  friend bool operator==(const BufferEntry&, const BufferEntry&) = default;
};

// How often an entry was started by somebody who has not said since that he survived it.
struct StartCount {
  BufferEntry entry;
  std::uint32_t starts = 1;
};

struct ParkedRecord {
  BufferEntry entry;
  std::string stage;
  std::string reason;
  bool retryable = false;  // parked because a dependency failed, not because of the record
  std::uint32_t attempts = 0;
  WallTime parked_at{};
  std::uint32_t starts = 1;
};

// What is kept of a parked record that somebody had thrown away.
struct DroppedRecord {
  RecordId id;
  std::string who;     // the client's address or name
  std::string reason;  // his, in his words
  WallTime dropped_at{};
  std::optional<Sha256> sha256;  // of the payload; not known where the stored bytes are damaged
  std::uint64_t size = 0;        // of the payload, likewise 0
  ParkedRecord parked;           // why it was parked
};

enum class BufferState { pending, parked };
struct BufferedHead {
  BufferState state = BufferState::pending;
  BufferEntry entry;
  OpenedHead head;
};

// accepted == released + pending + parked + dropped, or a record was lost.
struct BufferStats {
  std::uint64_t accepted = 0;
  std::uint64_t released = 0;
  std::uint64_t pending = 0;
  std::uint64_t parked = 0;
  std::uint64_t dropped = 0;               // by command, each with its reason
  std::uint64_t bytes = 0;                 // stored bytes of pending and parked entries
  std::optional<WallTime> oldest_pending;  // when the oldest pending entry was appended
  std::optional<WallTime> oldest_parked;   // when the oldest parked record was parked
  std::uint64_t memory_used = 0;           // of the buffer's server
  std::uint64_t memory_max = 0;            // 0 = no limit set
  [[nodiscard]] std::int64_t unaccounted() const {
    return static_cast<std::int64_t>(accepted) -
           static_cast<std::int64_t>(released + pending + parked + dropped);
  }
};

class WriteAheadBuffer {
 public:
  virtual ~WriteAheadBuffer() = default;

  // What stands in the way of the durability promise right now; empty detail = nothing does.
  // Known without asking the server (checked at start, on reconnect and every few seconds).
  [[nodiscard]] virtual Result<void> health() const = 0;
  // health(), but a connection that was just lost gets until the deadline to come back.
  virtual Task<Result<void>> ready(Deadline deadline) = 0;
  // How many bytes the server's memory lacks, its reserve kept, to take `bytes` more; 0 = they fit.
  // Judged from the figures of the last check and what came and went since, without asking.
  [[nodiscard]] virtual std::uint64_t missing_room(std::uint64_t bytes) const {
    static_cast<void>(bytes);
    return 0;
  }
  // Bytes a second that leave the buffer at present; 0 where that is not known.
  [[nodiscard]] virtual double drain_per_second() const { return 0; }
  [[nodiscard]] virtual std::uint32_t partition_of(const std::optional<IdempotencyKey>& key) = 0;

  // --- ingest ---
  // Claims key for the request that will become `id`; small, atomic, durable enough to meet a twin.
  virtual Task<Result<Reservation>> reserve(IdempotencyKey key, RecordId id, Deadline deadline) = 0;
  // Gives a reservation back after a request that failed; best effort.
  virtual Task<> abandon(IdempotencyKey key, RecordId id) = 0;
  // Appends the object and settles its key in one atomic step; answers when it is durable.
  // receipt_head is the receipt's JSON up to, not including, `,"position":…}`. Repeating an
  // append of the same id is safe. object must outlive the call.
  virtual Task<Result<Appended>> append(const SealedObject& object, std::string receipt_head,
                                        std::optional<IdempotencyKey> key, Deadline deadline) = 0;

  // Appends all of them or none, in one atomic step that also settles their common key: its digest
  // is that of the request that brought them, its receipt the JSON array of theirs. Their ids are
  // of one partition (that of the key). Repeating it with the same ids is safe.
  virtual Task<Result<std::vector<Appended>>> append_all(std::vector<AppendItem> items,
                                                         std::optional<IdempotencyKey> key,
                                                         Sha256 digest, Deadline deadline) = 0;

  // --- pipeline ---
  // Entries nobody has been given yet; waits up to `wait` for the first one.
  virtual Task<Result<std::vector<BufferEntry>>> read(std::size_t max, Duration wait) = 0;
  // Entries that this node was given before it restarted.
  virtual Task<Result<std::vector<BufferEntry>>> read_own_pending(Deadline deadline) = 0;
  // Entries whose owner has not renewed its lease for `lease`.
  virtual Task<Result<std::vector<BufferEntry>>> claim(Duration lease, std::size_t max,
                                                       Deadline deadline) = 0;
  // How often each of them was started; 1 where nothing was noted since it was given out first.
  virtual Task<Result<std::vector<std::uint32_t>>> starts(std::vector<BufferEntry> entries,
                                                          Deadline deadline) = 0;
  // Sets the counts, durably; may be repeated. Nothing is noted of entries that are gone, and
  // release, park and drop forget what was.
  virtual Task<Result<void>> note_starts(std::vector<StartCount> counts, Deadline deadline) = 0;
  virtual Task<Result<void>> renew(std::vector<BufferEntry> entries, Deadline deadline) = 0;
  // The stored bytes as they are; the caller checks size and digest. Gone: Code::not_found.
  virtual Task<Result<std::string>> load(RecordId id, Deadline deadline) = 0;
  virtual Task<Result<void>> release(std::vector<BufferEntry> entries, Deadline deadline) = 0;
  virtual Task<Result<void>> park(ParkedRecord record, Deadline deadline) = 0;
  virtual Task<Result<std::vector<ParkedRecord>>> parked(Deadline deadline) = 0;
  virtual Task<Result<std::optional<ParkedRecord>>> find_parked(RecordId id, Deadline deadline) = 0;
  // Parked records become pending again; ids that are not parked are passed over. Returns how many.
  virtual Task<Result<std::size_t>> unpark(std::vector<RecordId> ids, Deadline deadline) = 0;
  // Throws a parked record's bytes away and keeps the account of it, in one atomic step. False:
  // the record is not parked, and nothing was done.
  virtual Task<Result<bool>> drop(DroppedRecord record, Deadline deadline) = 0;
  virtual Task<Result<std::optional<DroppedRecord>>> dropped(RecordId id, Deadline deadline) = 0;

  // --- read back ---
  virtual Task<Result<std::optional<BufferedHead>>> find(RecordId id, Deadline deadline) = 0;
  virtual Task<Result<ByteVector>> read_range(RecordId id, std::uint64_t offset,
                                              std::uint64_t length, Deadline deadline) = 0;
  virtual Task<Result<BufferStats>> stats(Deadline deadline) = 0;
};

}  // namespace daybook::core
