// PostgresMetadata: the metadata store in a PostgreSQL database, or one that speaks its protocol.
//
// - A batch is one pipelined transaction: BEGIN, an INSERT … ON CONFLICT DO NOTHING for each row,
//   one statement that numbers those that are new (postgres_feed.hpp), COMMIT; one round trip. Rows
//   go in the order of their ids, so that two batches cannot wait for each other in a circle; a
//   transaction that had to give way all the same is run again.
// - A row that was there already is compared with ours: the same content is a repetition (the
//   answer to a COMMIT got lost), other content changes nothing, is logged and counted.
// - Each connection is looked at before its first use: the schema is ours, the server is no
// standby,
//   fsync is on; synchronous_commit is switched on for it where it is not. Until that is so every
//   call fails with the sentence that says what to do.
// - Lists walk an index in id order, as SQLite's (sqlite_metadata.hpp): a time range is decided by
//   received_at, and the ids at its ends, widened by the largest clock skew, bound the walk.
// I/O thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "storage/postgres_pool.hpp"

namespace daybook::storage {

class PostgresMetadata final : public core::MetadataStore {
 public:
  // Connects when it is first used. The runtime must outlive the store.
  PostgresMetadata(io::IoRuntime& runtime, PostgresSettings settings);

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
  // Also sees a server that has become a standby.
  core::Task<core::Result<void>> probe(core::Deadline deadline) override;
  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] std::uint64_t contradictions() const override { return contradictions_; }

 private:
  core::Task<core::Result<void>> prepare(PostgresConnection& connection, core::Deadline deadline);
  core::Result<void> judge_settings(const PostgresConnection& connection,
                                    const PostgresResults& answers);
  core::Task<core::Result<PostgresResults>> run(PostgresStatements statements,
                                                core::Deadline deadline);
  core::Task<core::Result<PostgresResult>> read(PostgresStatement statement,
                                                core::Deadline deadline);
  core::Task<core::Result<std::vector<core::MetadataRow>>> select(PostgresStatement statement,
                                                                  core::Deadline deadline);
  core::Task<core::Result<void>> transact(const std::vector<const core::MetadataRow*>& rows,
                                          std::vector<const core::MetadataRow*>& present,
                                          core::Deadline deadline);
  core::Task<> compare(std::vector<const core::MetadataRow*> present, core::Deadline deadline);
  [[nodiscard]] core::Failure failure(const PostgresResult& result) const;

  io::IoRuntime& runtime_;
  const std::string server_;  // for people
  PostgresPool pool_;
  std::uint64_t contradictions_ = 0;
  bool said_weak_commit_ = false;
};

}  // namespace daybook::storage
