// Trail: this node's own list of acknowledged ids, one text line a record, fsynced in parallel with
// the append to the buffer. It is for detection only: after Redis lost its tail, it tells what is
// gone.
//
//   <id> <sha256 of the payload> <size> <partition>\n        in <dir>/<start time>-<number>.trail
//
// Lines that begin with '#' are remarks. A line may name a record whose append failed afterwards; a
// record that was acknowledged without a line never exists while the trail is healthy. A file whose
// fsync failed is closed for good and the next line begins a new file. Lines go through one group
// commit: one fsync serves all that wait. I/O thread; the file is written on `writer`, a pool of
// one thread.
#pragma once

#include <memory>
#include <string>

#include "core/digest.hpp"
#include "core/group_commit.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/record_id.hpp"
#include "core/result.hpp"

namespace daybook::storage {

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
  // Writes nothing, but begins a new file where the last one failed: call it until health() is
  // good.
  core::Task<core::Result<void>> recover();
  // The outcome of the last write.
  [[nodiscard]] const core::Result<void>& health() const { return health_; }

 private:
  Trail(core::Runtime& runtime, core::Workers& writer, std::string dir, core::Duration keep);
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
  std::string file_name_;
  int file_ = -1;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t file_number_ = 0;
};

}  // namespace daybook::storage
