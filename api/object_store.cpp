#include "api/object_store.hpp"

#include "storage/file_store.hpp"
#include "storage/s3_store.hpp"

namespace daybook::api {

core::Result<std::unique_ptr<core::ObjectStore>> open_object_store(const core::Config& config,
                                                                   io::IoRuntime& runtime,
                                                                   core::Workers& disk_workers,
                                                                   bool clean_up) {
  if (config.archive_kind == "s3") {
    storage::S3Store::Settings settings;
    settings.endpoint = config.archive_s3_endpoint;
    settings.region = config.archive_s3_region;
    settings.bucket = config.archive_s3_bucket;
    settings.virtual_host = config.archive_s3_virtual_host;
    settings.access_key = config.archive_s3_access_key;
    settings.secret_key = config.archive_s3_secret_key;
    settings.ca_file = config.archive_s3_ca_file;
    settings.connections = config.archive_s3_connections;
    auto store = storage::S3Store::open(std::move(settings), runtime, disk_workers);
    if (!store) return pass(std::move(store));
    return std::unique_ptr<core::ObjectStore>(std::move(*store));
  }
  auto store = storage::FileStore::open({config.archive_file_dir, clean_up}, disk_workers);
  if (!store) return pass(std::move(store));
  return std::unique_ptr<core::ObjectStore>(std::move(*store));
}

}  // namespace daybook::api
