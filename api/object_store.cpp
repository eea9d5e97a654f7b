#include "api/object_store.hpp"

#include "storage/file_store.hpp"

namespace daybook::api {

core::Result<std::unique_ptr<core::ObjectStore>> open_object_store(const core::Config& config,
                                                                   io::IoRuntime& runtime,
                                                                   core::Workers& disk_workers) {
  static_cast<void>(runtime);
  auto store = storage::FileStore::open({config.archive_file_dir}, disk_workers);
  if (!store) return pass(std::move(store));
  return std::unique_ptr<core::ObjectStore>(std::move(*store));
}

}  // namespace daybook::api
