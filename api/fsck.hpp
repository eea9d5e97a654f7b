// Fsck: compares, record by record, what the trail says was taken with what the buffer, the archive
// and the index hold. Every suspicion is looked at a second time before it becomes a finding, so
// that records on their way through a running server are none.
//
//   missing             taken and acknowledged, found nowhere
//   damaged             bytes of an object that are not what its row, its envelope or the trail say
//   unindexed           an object without a row, and without an entry in the buffer
//   row_without_object  a row whose object is gone
//   orphan              bytes in the buffer without an entry
//   duplicate           an object of a record that has another one; a further copy in a segment is
//                       what a crash leaves, and only a note
//   residue             a temporary file whose writer is dead
//
// Repairs add or finish; they never delete an object or a row (fsck_repair.cpp). Memory: about 150
// bytes a record. I/O thread only.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/archive_walk.hpp"
#include "api/offline_stores.hpp"
#include "api/progress_bar.hpp"
#include "core/config.hpp"
#include "core/object_check.hpp"
#include "core/segment.hpp"
#include "storage/redis_scan.hpp"
#include "storage/trail_reader.hpp"

namespace daybook::api {

struct FsckOptions {
  bool deep = false;      // also decompress everything and compare the payloads' SHA-256
  bool repair = false;    // do what is safe
  bool progress = false;  // draw a bar where there is a terminal
};

struct FsckFinding {
  std::string kind;
  std::string subject;  // the record's id, or a file
  std::string detail;
  std::string repair;  // what was done about it, or why nothing was; empty without --repair
};

struct FsckReport {
  std::vector<FsckFinding> findings;  // at most kFindingsMax; counts has all of them
  std::map<std::string, std::uint64_t> counts;
  std::vector<std::string> notes;  // worth knowing, and nothing to mend
  std::uint64_t trail_records = 0;
  std::uint64_t buffered = 0;
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;  // of objects
  std::uint64_t rows = 0;
  std::uint64_t repaired = 0;
  double seconds = 0;
};

class Fsck {
 public:
  static constexpr std::size_t kFindingsMax = 10'000;

  Fsck(const core::Config& config, FsckOptions options, io::IoRuntime& runtime,
       OfflineStores& stores, storage::RedisScan& buffer);

  // An Error names the store that could not be looked at.
  core::Task<core::Result<FsckReport>> run();

 private:
  // What was seen of one record, and where.
  struct Facts {
    bool trail = false;
    bool spool = false;
    bool object = false;
    bool row = false;
    bool damaged = false;
    storage::BufferSight buffer;
    storage::TrailFate fate = storage::TrailFate::unknown;
    core::Sha256 sha256;  // of the payload, as the trail says
  };
  using Outcome = core::Result<void>;

  core::Task<Outcome> see_trail();
  void see_spool();
  core::Task<Outcome> see_buffer();
  core::Task<Outcome> see_objects();
  core::Task<Outcome> see_object(core::ListedObject object);
  core::Task<Outcome> see_rows();
  core::Task<> see_leftovers();
  core::Task<Outcome> see_segment(core::ListedObject object);
  core::Task<Outcome> see_slice(core::ListedObject object, core::Bytes segment,
                                core::SegmentEntry entry);
  // What is wrong with the object; empty = nothing.
  core::Task<core::Result<std::string>> examine(core::ListedObject object, core::RecordId id);
  // The same of a stored form that was checked, compared with the trail and the row.
  [[nodiscard]] std::string compare(const core::Result<core::CheckedObject>& checked,
                                    core::RecordId id, const std::optional<core::MetadataRow>& row);
  [[nodiscard]] std::string compare_copy(const core::Result<core::CheckedObject>& checked,
                                         core::RecordId id, const core::MetadataRow& row);
  [[nodiscard]] core::CheckDepth depth(bool indexed) const {
    return options_.deep || !indexed ? core::CheckDepth::payload : core::CheckDepth::stored_bytes;
  }

  core::Task<Outcome> judge_all();
  core::Task<Outcome> judge(core::RecordId id, Facts facts);
  core::Task<Outcome> judge_missing(core::RecordId id, Facts facts);
  core::Task<Outcome> judge_object(core::RecordId id, Facts facts);
  core::Task<Outcome> judge_bytes(core::RecordId id, Facts facts);
  core::Task<Outcome> judge_entry(core::RecordId id, Facts facts);

  // Repairs return what they did, or why they did nothing.
  core::Task<core::Result<std::string>> insert_row(core::RecordId id);
  core::Task<core::Result<std::string>> settle_bytes(core::RecordId id, Facts facts);

  void found(std::string kind, std::string subject, std::string detail, std::string repair = {});
  [[nodiscard]] bool may_be_arriving(core::RecordId id);
  [[nodiscard]] core::Deadline soon() { return runtime_.steady_now() + std::chrono::seconds(60); }

  const core::Config& config_;
  const FsckOptions options_;
  io::IoRuntime& runtime_;
  OfflineStores& stores_;
  storage::RedisScan& buffer_;
  ProgressBar bar_;
  ArchiveTotals totals_;
  bool server_runs_ = false;
  std::uint64_t unanswered_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t others_ = 0;
  std::unordered_map<core::RecordId, Facts, core::RecordIdHash> facts_;
  std::uint64_t segments_ = 0;
  std::uint64_t segment_records_ = 0;
  std::uint64_t superseded_ = 0;
  // Where the objects without a row are; few, or a store was lost.
  struct Place {
    core::ListedObject object;
    std::optional<core::ByteRange> slice;  // of a segment
  };
  std::unordered_map<core::RecordId, Place, core::RecordIdHash> unindexed_;
  FsckReport report_;
};

}  // namespace daybook::api
