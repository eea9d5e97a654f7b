// The schema of SQLite's metadata file. The store makes it by itself when it opens the file; this
// is for the commands that look at it. Works on `worker`.
#pragma once

#include "core/ports/metadata_schema.hpp"
#include "storage/sqlite_metadata.hpp"

namespace daybook::storage {

class SqliteSchema final : public core::MetadataSchema {
 public:
  SqliteSchema(SqliteMetadata::Settings settings, core::Workers& worker);

  core::Task<core::Result<core::SchemaStatus>> status(core::Deadline deadline) override;
  core::Task<core::Result<std::vector<std::string>>> migrate(bool dry_run,
                                                             core::Deadline deadline) override;
  [[nodiscard]] std::string describe() const override;

 private:
  core::Result<core::SchemaStatus> status_now(core::Deadline deadline) const;
  core::Result<std::vector<std::string>> migrate_now(bool dry_run, core::Deadline deadline) const;

  const SqliteMetadata::Settings settings_;
  core::Workers& worker_;
};

}  // namespace daybook::storage
