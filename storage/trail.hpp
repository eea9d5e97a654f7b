// Trail: this node's own list of acknowledged ids, one text line a record, fsynced in parallel with
// the append to the buffer. It is for detection only: after Redis lost its tail, it tells what is
// gone.
//
//   <id> <sha256 of the payload> <size> <partition>\n        in <dir>/<start time>-<number>.trail
//
//   # stored <id>\n                                   the record became durable: it may be
//   acknowledged # failed <id>\n                                   it did not: the sender got no
//   receipt
//
// Lines that begin with '#' are remarks; the first line of a file is one. A record that was
// acknowledged without a line never exists while the trail is healthy. The remarks of what became
// of a record follow within kRemarkDelay and delay no answer, so a process that dies leaves some
// records without one: nobody knows from the trail alone whether those were acknowledged. A file
// whose fsync failed is closed for good and the next line begins a new file. Lines go through one
// group commit: one fsync serves all that wait. I/O thread; the file is written on `writer`, a pool
// of one thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "core/digest.hpp"
#include "core/group_commit.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/record_id.hpp"
#include "core/result.hpp"

namespace daybook::storage {

// The first line: files without it are of a time when nothing was remarked, and every record in
// them counts as acknowledged.
inline constexpr std::string_view kTrailHead = "# daybook trail 2";
inline constexpr std::string_view kStoredRemark = "# stored ";
inline constexpr std::string_view kFailedRemark = "# failed ";
inline constexpr std::chrono::milliseconds kRemarkDelay{100};

class Trail {
 public:
  // Makes dir where it is missing. keep: older files are deleted when a new one is begun.
  static core::Result<std::unique_ptr<Trail>> open(core::Runtime& runtime, core::Workers& writer,
                                                   std::string dir, core::Duration keep);
  ~Trail();
  Trail(const Trail&) = delete;
  Trail& operator=(const Trail&) = delete;

  // Returns when the line is on disk.
  core::Task<core::Result<void>> add(core::RecordId id, core::Sha256 sha256, std::uint64_t size);
  // Remarks what became of the record; best effort, written soon.
  void remark(core::RecordId id, bool stored);
  // Writes nothing, but begins a new file where the last one failed: call it until health() is
  // good.
  core::Task<core::Result<void>> recover();
  // The outcome of the last write.
  [[nodiscard]] const core::Result<void>& health() const { return health_; }

 private:
  Trail(core::Runtime& runtime, core::Workers& writer, std::string dir, core::Duration keep);
  core::Task<> write_remarks();
  core::Task<core::Result<void>> commit(std::vector<std::string> lines);
  // On the writer's thread:
  core::Result<void> write(const std::vector<std::string>& lines);
  core::Result<void> begin_file();
  void delete_old_files();
  core::Failure failure(const char* doing);

  core::Runtime& runtime_;
  core::Workers& writer_;
  const std::string dir_;
  const core::Duration keep_;
  core::GroupCommit<std::string> lines_;
  core::Result<void> health_;
  std::string remarks_;  // not written yet
  bool remarks_timed_ = false;
  std::string file_name_;
  int file_ = -1;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t file_number_ = 0;
};

}  // namespace daybook::storage
