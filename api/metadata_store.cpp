#include "api/metadata_store.hpp"

#include "storage/sqlite_metadata.hpp"

namespace daybook::api {

core::Result<std::unique_ptr<core::MetadataStore>> open_metadata_store(
    const core::Config& config, [[maybe_unused]] io::IoRuntime& runtime, core::Workers& writer,
    core::Workers& reader) {
  auto store = storage::SqliteMetadata::open(
      {config.metadata_sqlite_file, config.metadata_sqlite_busy_timeout}, writer, reader);
  if (!store) return pass(std::move(store));
  return std::unique_ptr<core::MetadataStore>(std::move(*store));
}

}  // namespace daybook::api
