// Port: the index of archived records. Adapters: storage/sqlite_metadata,
// storage/postgres_metadata, storage/dynamodb_metadata.
// Contract (tests/contract/metadata_store_contract.hpp runs it on every adapter and on the fake):
// - insert has made all rows durable when it returns success. After a failure some of them may be
//   there, each whole, and the same insert again completes them: a row whose id is there already
//   changes nothing and is no error.
// - A row that is new gets the next number of the feed before insert returns success; one that is
//   there already gets none. A row is found and listed no later than it is in the feed.
// - Errors have origin metadata. Locked or unreachable: Code::unavailable, retry safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/envelope.hpp"
#include "core/result.hpp"
#include "core/task.hpp"

namespace daybook::core {

struct MetadataRow {
  Envelope envelope;
  std::uint64_t stored_size = 0;
  Sha256 stored_sha256;
  std::uint64_t data_offset = 0;  // of zstd frame 0 in the object
  std::string object_key;
  std::string object_location;
  std::string object_version;
  std::string position;                 // the buffer's name for the entry
  std::uint32_t attempts = 1;           // starts of the archive stage
  std::string state;                    // "indexed"
  std::optional<WallTime> started_at;   // the pipeline took it; nullopt: not known (rebuilt rows)
  std::optional<WallTime> archived_at;  // the object store confirmed it
  WallTime indexed_at{};

  friend bool operator==(const MetadataRow&, const MetadataRow&) = default;
};

// Newest first. Fields that are not set do not filter.
struct MetadataQuery {
  std::optional<std::string> tenant, source, type, subject, state;
  std::optional<WallTime> since, until;  // received_at in [since, until)
  std::optional<RecordId> before;        // keyset cursor: the last id of the page before
  std::uint32_t limit = 100;             // 1 .. limits::kPageRecordsMax
};

// One line of the feed. Whoever has read it up to a number has missed nothing before it: an entry
// is visible only when all before it are.
struct FeedEntry {
  std::uint64_t sequence = 0;  // 1, 2, 3, … without a gap
  WallTime published_at{};     // never earlier than its predecessor's, nor than received_at
  MetadataRow row;
};

struct FeedBounds {
  std::string feed;         // names this feed; a number of another one means nothing here
  std::uint64_t first = 1;  // the oldest entry that is kept
  std::uint64_t last = 0;   // the newest; first - 1: none yet
};

class MetadataStore {
 public:
  virtual ~MetadataStore() = default;
  virtual Task<Result<void>> insert(std::vector<MetadataRow> rows, Deadline deadline) = 0;
  virtual Task<Result<std::optional<MetadataRow>>> find(RecordId id, Deadline deadline) = 0;
  // Ordered by (received time, id) as ids are: id descending.
  virtual Task<Result<std::vector<MetadataRow>>> list(MetadataQuery query, Deadline deadline) = 0;
  // For whoever goes through all rows: by id ascending, those after `after` (none: from the first).
  // Fewer than limit (1 .. limits::kPageRecordsMax): there are no more.
  virtual Task<Result<std::vector<MetadataRow>>> scan(std::optional<RecordId> after,
                                                      std::uint32_t limit, Deadline deadline) = 0;
  // The feed's entries after `after`, ascending, from the oldest that is kept. Fewer than limit
  // (1 .. limits::kPageRecordsMax): there are no more yet. A record that somebody deleted from the
  // store by hand is left out.
  virtual Task<Result<std::vector<FeedEntry>>> feed(std::uint64_t after, std::uint32_t limit,
                                                    Deadline deadline) = 0;
  virtual Task<Result<FeedBounds>> feed_bounds(Deadline deadline) = 0;
  // The number to read after, to get everything published at `since` or later and so everything
  // received then or later.
  virtual Task<Result<std::uint64_t>> feed_before(WallTime since, Deadline deadline) = 0;
  virtual Task<Result<void>> probe(Deadline deadline) = 0;
  [[nodiscard]] virtual std::string describe() const = 0;  // for people
  // Rows that came again with other content since the start; 0 where it is not looked at.
  [[nodiscard]] virtual std::uint64_t contradictions() const { return 0; }
};

}  // namespace daybook::core
