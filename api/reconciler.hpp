// Reconciler: tells which acknowledged records are gone when Redis lost something: at start, and
// whenever the buffer was found to be another one or to know less (RedisBuffer::times_replaced).
//
// The ids of the last day's trail are compared with the index, the buffer and the archive. What is
// archived but not indexed gets its row; what is nowhere is logged by name, counted in
// daybook_records_missing, and looked for again every minute. A record without a remark in the
// trail (trail.hpp) may never have been acknowledged: it is mentioned, not counted. One
// trail file is held in memory at a time, about 60 MB at most. I/O thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/metrics.hpp"
#include "core/config.hpp"
#include "core/object_check.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "storage/redis_buffer.hpp"
#include "storage/redis_scan.hpp"
#include "storage/trail_reader.hpp"

namespace daybook::api {

class Reconciler {
 public:
  struct Services {
    core::Runtime& runtime;
    core::Workers& workers;
    storage::RedisBuffer& buffer;
    storage::RedisScan& scan;
    core::ObjectStore& objects;
    core::MetadataStore& metadata;
    Metrics& metrics;
    // Whether another place holds the record until the buffer takes it; empty: there is none.
    std::function<bool(const core::RecordId&)> held_elsewhere;
  };
  Reconciler(Services services, const core::Config& config);

  core::Task<> run();  // until close()
  void close();
  // As of the last look, sorted.
  [[nodiscard]] const std::vector<core::RecordId>& missing() const { return missing_; }

 private:
  using Records = std::map<core::RecordId, storage::TrailRecord>;
  enum class Place { held, on_its_way, nowhere };

  struct Outcome {
    std::vector<core::RecordId> missing;
    std::size_t unanswered = 0;
  };
  core::Task<core::Result<void>> reconcile();
  core::Task<core::Result<void>> reconcile_file(std::string file, std::string next, Outcome& out);
  core::Task<core::Result<void>> drop_indexed(Records& records);
  core::Task<core::Result<Place>> look_for(core::RecordId id, storage::TrailRecord record);
  core::Task<core::Result<bool>> index_from_archive(core::RecordId id);
  core::Task<core::Result<void>> index(core::MetadataRow row);
  void tell(std::vector<core::RecordId> missing);

  Services services_;
  const core::Config& config_;
  std::unique_ptr<core::Signal> stop_;
  std::vector<core::RecordId> missing_;
  std::size_t unanswered_ = 0;
  bool archive_answers_ = true;  // in this round
  bool closing_ = false;
};

}  // namespace daybook::api
