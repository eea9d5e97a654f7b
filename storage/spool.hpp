// Spool: records on this node's disk while the buffer cannot take them. What add() has answered for
// is on disk; it goes to the buffer, oldest first, when the buffer is back (SpoolReplay).
//
//   <dir>/<number>.segment        append-only (spool_segment.hpp), written with O_DIRECT where the
//                                 file system has it, one fdatasync for all records that wait
//   <dir>/quarantine/             what cannot be read as a record any more: kept, named, never
//                                 replayed
//
// - A write or fsync that fails ends its segment for good: it is cut back to what was answered for,
//   and the next record begins a new one. Nothing is retried into a file that failed.
// - At start every segment is read: a torn tail is cut off (and kept in quarantine), damaged bytes
//   between records go to quarantine, every record found is replayed again. Replaying is
//   idempotent: the id is the same, and so are the bytes.
// - A segment is deleted when the last of its records is settled.
// I/O thread; files are touched on `writer`, a pool of one thread.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/group_commit.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "core/sealed_object.hpp"
#include "storage/spool_file.hpp"
#include "storage/spool_segment.hpp"

namespace daybook::storage {

struct SpoolSettings {
  std::string dir;
  std::uint64_t bytes_max = 0;  // of all segments; 0 = nothing is taken
  std::uint64_t segment_bytes = 64 * core::MiB;
};

class Spool {
 public:
  // Index entries cost about 200 bytes each.
  static constexpr std::size_t kRecordsMax = 200'000;

  static core::Result<std::unique_ptr<Spool>> open(core::Runtime& runtime, core::Workers& writer,
                                                   SpoolSettings settings);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Returns when the record is on disk. receipt: what the client will get. Full: out_of_space.
  core::Task<core::Result<void>> add(const core::SealedObject& object,
                                     std::optional<core::IdempotencyKey> key, std::string receipt);

  struct Spooled {
    core::RecordId id;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;       // of the head
    std::uint64_t data_offset = 0;  // of the stored object
    std::uint64_t stored_size = 0;
  };
  [[nodiscard]] std::optional<Spooled> find(const core::RecordId& id) const;
  [[nodiscard]] std::optional<Spooled> find_key(const core::IdempotencyKey& key) const;
  [[nodiscard]] std::optional<Spooled> oldest() const;
  core::Task<core::Result<spool::Head>> read_head(Spooled where);
  core::Task<core::Result<core::ByteVector>> read_stored(Spooled where, std::uint64_t offset,
                                                         std::uint64_t length);
  // The record is somewhere else, as safe as here.
  core::Task<> settle(core::RecordId id);
  // Its bytes are not what was stored: they move to quarantine.
  core::Task<> quarantine(Spooled where, std::string why);

  [[nodiscard]] bool has_room() const;
  // The outcome of the last write.
  [[nodiscard]] const core::Result<void>& health() const { return health_; }
  [[nodiscard]] std::size_t records() const { return index_.size(); }
  [[nodiscard]] std::uint64_t bytes() const;  // of all segments
  [[nodiscard]] std::uint64_t quarantined() const { return quarantined_; }

 private:
  struct Segment {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    std::deque<Spooled> records;  // unsettled and settled ones; settled are no longer in index_
    bool closed = false;
  };
  struct Item {
    const core::SealedObject* object = nullptr;
    spool::Head head;
    Spooled where;  // out
  };

  Spool(core::Runtime& runtime, core::Workers& writer, SpoolSettings settings);
  core::Result<void> recover();
  core::Result<void> recover_segment(std::uint64_t number);
  core::Task<core::Result<void>> commit(std::vector<Item*> items);
  void remember(const Spooled& where, const std::string& key_hash);
  core::Task<> delete_settled();
  core::Result<void> keep_bytes(std::uint64_t segment, spool::Gap gap, const std::string& why);
  [[nodiscard]] std::string path(std::uint64_t segment) const;

  core::Runtime& runtime_;
  core::Workers& writer_;
  const SpoolSettings settings_;
  core::GroupCommit<Item*> items_;
  core::Result<void> health_;
  std::unique_ptr<SegmentWriter> file_;  // the segment being written; writer's thread only
  std::deque<Segment> segments_;
  std::unordered_map<core::RecordId, Spooled, core::RecordIdHash> index_;
  std::unordered_map<std::string, core::RecordId> keys_;  // SHA-256 of tenant and key -> id
  std::unordered_map<core::RecordId, std::string, core::RecordIdHash> key_of_;
  std::uint64_t next_number_ = 1;
  std::atomic<std::uint64_t> quarantined_ = 0;
};

}  // namespace daybook::storage
