// SqliteMetadata: the metadata store in one SQLite file; the embedded default.
//
//   records      one row per record, columns named as in the API (schema in sqlite_rows.cpp)
//   feed         which row was published as which number, and when (sqlite_feed.hpp)
//   clock_skew   one number: the largest distance between the time in an id and received_at
//   WAL, synchronous FULL: a committed insert survives a power cut, and readers never wait for
//   writers
//
// - Lists walk an index in id order. A time range is decided by received_at; the ids at its ends,
// widened by
//   clock_skew, only bound the walk.
// - The file may be read by others (sqlite3, DuckDB) at any time. PRAGMA user_version names the
// schema; an
//   older one is upgraded when the file is opened, a newer one than this program's is refused.
// One connection writes, on `writer` (which should have one thread); one reads, on `reader`. A
// mutex per connection keeps a misuse from damaging anything.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "core/ports/workers.hpp"

namespace daybook::storage {

class SqliteConnection;

class SqliteMetadata final : public core::MetadataStore {
 public:
  struct Settings {
    std::filesystem::path file;  // made if missing; its folder must exist
    core::Duration busy_timeout = std::chrono::seconds(5);  // for another process's lock
  };

  // Blocks: for start-up. Makes or migrates the schema. writer and reader must outlive the store.
  [[nodiscard]] static core::Result<std::unique_ptr<SqliteMetadata>> open(Settings settings,
                                                                          core::Workers& writer,
                                                                          core::Workers& reader);
  ~SqliteMetadata() override;

  core::Task<core::Result<void>> insert(std::vector<core::MetadataRow> rows,
                                        core::Deadline deadline) override;
  core::Task<core::Result<std::optional<core::MetadataRow>>> find(core::RecordId id,
                                                                  core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::MetadataRow>>> list(core::MetadataQuery query,
                                                                core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::MetadataRow>>> scan(std::optional<core::RecordId> after,
                                                                std::uint32_t limit,
                                                                core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::FeedEntry>>> feed(std::uint64_t after,
                                                              std::uint32_t limit,
                                                              core::Deadline deadline) override;
  core::Task<core::Result<core::FeedBounds>> feed_bounds(core::Deadline deadline) override;
  core::Task<core::Result<std::uint64_t>> feed_before(core::WallTime since,
                                                      core::Deadline deadline) override;
  // Takes the write lock and gives it back; waits a quarter of a second for it at most.
  core::Task<core::Result<void>> probe(core::Deadline deadline) override;
  [[nodiscard]] std::string describe() const override;

 private:
  SqliteMetadata(Settings settings, core::Workers& writer, core::Workers& reader);

  core::Result<void> prepare();
  core::Result<void> migrate();
  core::Result<void> insert_now(const std::vector<core::MetadataRow>& rows,
                                core::Deadline deadline);
  core::Result<std::optional<core::MetadataRow>> find_now(core::RecordId id,
                                                          core::Deadline deadline);
  core::Result<std::vector<core::MetadataRow>> list_now(const core::MetadataQuery& query,
                                                        core::Deadline deadline);
  core::Result<std::vector<core::MetadataRow>> scan_now(std::optional<core::RecordId> after,
                                                        std::uint32_t limit,
                                                        core::Deadline deadline);
  core::Result<std::vector<core::FeedEntry>> feed_now(std::uint64_t after, std::uint32_t limit,
                                                      core::Deadline deadline);
  core::Result<core::FeedBounds> feed_bounds_now(core::Deadline deadline);
  core::Result<std::uint64_t> feed_before_now(core::WallTime since, core::Deadline deadline);
  core::Result<void> probe_now(core::Deadline deadline);
  core::Result<void> check_file_in_place() const;

  const Settings settings_;
  core::Workers& writer_;
  core::Workers& reader_;
  std::mutex write_mutex_;
  std::mutex read_mutex_;
  std::unique_ptr<SqliteConnection> write_;
  std::unique_ptr<SqliteConnection> read_;
};

}  // namespace daybook::storage
