// RedisScan: the write-ahead buffer as a check sees it: which records have an entry, which have
// bytes, and the two repairs that are safe. It reads the keys of redis_scripts.hpp itself and
// leaves every figure and lease of the pipeline alone, so it may run beside a server. I/O thread
// only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/digest.hpp"
#include "core/record_id.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"
#include "storage/redis_router.hpp"

namespace daybook::storage {

struct BufferSight {
  bool pending = false;  // on its way: the pipeline has or will get it
  bool parked = false;
  bool bytes = false;    // its stored bytes are there
  bool dropped = false;  // thrown away by a command that is on record; only look() asks
  [[nodiscard]] bool entry() const { return pending || parked; }
};

class RedisScan {
 public:
  RedisScan(io::IoRuntime& runtime, RedisTarget server, std::string prefix);

  // How many partitions the buffer was made with; 0: nothing was ever buffered here.
  core::Task<core::Result<std::uint32_t>> partitions(core::Deadline deadline);

  // Every record that has an entry or bytes; one may be seen several times, with a part each time.
  // An entry that appears or goes while this runs may be seen or not.
  using Visit = std::function<void(core::RecordId, BufferSight)>;
  core::Task<core::Result<void>> visit_all(std::uint32_t partitions, Visit visit,
                                           core::Duration timeout);
  core::Task<core::Result<BufferSight>> look(core::RecordId id, core::Deadline deadline);
  core::Task<core::Result<std::string>> load(core::RecordId id, core::Deadline deadline);

  // Deletes the bytes of a record that has no entry; false: it has one now.
  core::Task<core::Result<bool>> drop_bytes(core::RecordId id, core::Deadline deadline);
  // Gives a record that has bytes but no entry its entry back; false: it has one now, or no bytes.
  core::Task<core::Result<bool>> restore_entry(core::RecordId id, std::uint64_t stored_size,
                                               core::Sha256 stored_sha256, core::Deadline deadline);

 private:
  using Replies = core::Result<std::vector<core::resp::Reply>>;
  core::Task<Replies> call(RedisRequest request, core::Deadline deadline);
  core::Task<core::Result<void>> visit_hash(std::string name, BufferSight sight, Visit visit,
                                            core::Duration timeout);
  core::Task<core::Result<void>> visit_bytes(io::Endpoint master, Visit visit,
                                             core::Duration timeout);
  [[nodiscard]] std::string key(const core::RecordId& id, std::string_view rest) const;

  io::IoRuntime& runtime_;
  const std::string prefix_;
  RedisRouter router_;
};

}  // namespace daybook::storage
