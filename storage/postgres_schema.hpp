// The tables of the PostgreSQL metadata store and their versions: looking at them, making them,
// bringing them up to date.
//
//   daybook_records          one row per record (postgres_rows.hpp)
//   daybook_clock_skew       one number: the largest distance between the time in an id and
//                            received_at, in milliseconds
//   daybook_feed             which record was published as which number, and when
//   daybook_feed_head        one row: the feed's name, its last number, when that was published;
//                            who publishes holds it until the commit (postgres_feed.hpp)
//   daybook_schema_versions  one row per version that was applied, with the time and the program;
//                            version 0 is the lock: who migrates holds its row
//
// They live in the first schema of the search_path. I/O thread only.
#pragma once

#include "core/ports/metadata_schema.hpp"
#include "storage/postgres_pool.hpp"

namespace daybook::storage {

inline constexpr std::int64_t kPostgresSchemaVersion = 2;

// The SQL that makes version `to` out of version `from`, in order; 0 is nothing at all.
[[nodiscard]] std::vector<std::string> postgres_schema_steps(std::int64_t from, std::int64_t to);

// To be run apart, in this order; judge_postgres_schema() reads their results.
[[nodiscard]] PostgresStatements schema_questions();
// results: those of schema_questions(), from `first` on.
[[nodiscard]] core::Result<core::SchemaStatus> judge_postgres_schema(
    const PostgresConnection& connection, const PostgresResults& results, std::size_t first);

// What the doctor wants to know of a server that takes connections.
struct PostgresFacts {
  std::string server_version;
  bool uses_tls = false;
  bool read_only = false;
  std::string synchronous_commit;  // the server's default for this user; "" where it has none
  std::string fsync;
  std::vector<std::string> missing_privileges;  // "INSERT on daybook_records"
  core::SchemaStatus schema;
};

class PostgresSchema final : public core::MetadataSchema {
 public:
  PostgresSchema(io::IoRuntime& runtime, PostgresSettings settings);

  core::Task<core::Result<core::SchemaStatus>> status(core::Deadline deadline) override;
  core::Task<core::Result<std::vector<std::string>>> migrate(bool dry_run,
                                                             core::Deadline deadline) override;
  [[nodiscard]] std::string describe() const override;

  [[nodiscard]] core::Task<core::Result<PostgresFacts>> examine(core::Deadline deadline);

 private:
  using Connection = std::unique_ptr<PostgresConnection>;
  core::Task<core::Result<core::SchemaStatus>> status_on(PostgresConnection& connection,
                                                         core::Deadline deadline);
  core::Task<core::Result<void>> apply(PostgresConnection& connection, core::Deadline deadline);

  io::IoRuntime& runtime_;
  const PostgresSettings settings_;
};

}  // namespace daybook::storage
