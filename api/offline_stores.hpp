// The stores of a configuration, opened for a command that looks at them without serving. Nothing
// is made or cleaned up by opening, except the metadata file where that is asked for. Lives inside
// one task of its runtime.
#pragma once

#include <memory>

#include "core/config.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "io/runtime.hpp"
#include "io/worker_pool.hpp"

namespace daybook::api {

class OfflineStores {
 public:
  enum class MetadataFile { must_exist, make };
  [[nodiscard]] static core::Result<std::unique_ptr<OfflineStores>> open(const core::Config& config,
                                                                         io::IoRuntime& runtime,
                                                                         MetadataFile metadata);

  [[nodiscard]] core::ObjectStore& objects() { return *objects_; }
  [[nodiscard]] core::MetadataStore& metadata() { return *metadata_; }
  [[nodiscard]] core::Workers& workers() { return workers_; }
  // Objects that may be held and checked at a time.
  [[nodiscard]] std::size_t together() const { return together_; }

 private:
  OfflineStores(io::IoRuntime& runtime, std::size_t threads);

  std::size_t together_;
  io::WorkerPool workers_;
  io::WorkerPool disk_workers_;
  io::WorkerPool metadata_writer_;
  io::WorkerPool metadata_reader_;
  std::unique_ptr<core::ObjectStore> objects_;
  std::unique_ptr<core::MetadataStore> metadata_;
};

}  // namespace daybook::api
