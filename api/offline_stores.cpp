#include "api/offline_stores.hpp"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "api/metadata_store.hpp"
#include "api/object_store.hpp"

namespace daybook::api {
namespace {

core::Failure absent(core::Origin origin, const std::string& detail) {
  return core::fail(core::Code::unavailable, origin, core::Retry::never, detail);
}

}  // namespace

OfflineStores::OfflineStores(io::IoRuntime& runtime, std::size_t threads)
    : together_(2 * threads),
      workers_(runtime, threads, "daybook-check"),
      disk_workers_(runtime, together_, "daybook-disk"),
      metadata_writer_(runtime, 1, "daybook-index"),
      metadata_reader_(runtime, 1, "daybook-query") {}

core::Result<std::unique_ptr<OfflineStores>> OfflineStores::open(const core::Config& config,
                                                                 io::IoRuntime& runtime,
                                                                 MetadataFile metadata) {
  std::error_code error;
  if (config.archive_kind == "file" && !std::filesystem::is_directory(config.archive_file_dir)) {
    return absent(core::Origin::object_store,
                  "There is no archive folder " + config.archive_file_dir +
                      ". Mount it, or name the right one: archive.file_dir or node.data_dir.");
  }
  if (config.metadata_kind == "sqlite" && metadata == MetadataFile::must_exist &&
      !std::filesystem::exists(config.metadata_sqlite_file, error)) {
    return absent(core::Origin::metadata, "There is no metadata file " +
                                              config.metadata_sqlite_file +
                                              ". daybook rebuild-index makes it from the archive.");
  }
  const std::size_t threads = std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
  std::unique_ptr<OfflineStores> stores(new OfflineStores(runtime, threads));
  auto objects = open_object_store(config, runtime, stores->disk_workers_, false);
  if (!objects) return pass(std::move(objects));
  stores->objects_ = std::move(*objects);
  auto opened =
      open_metadata_store(config, runtime, stores->metadata_writer_, stores->metadata_reader_);
  if (!opened) return pass(std::move(opened));
  stores->metadata_ = std::move(*opened);
  return stores;
}

}  // namespace daybook::api
