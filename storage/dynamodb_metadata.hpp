// DynamodbMetadata: the metadata store port over a DynamoDB table, which `daybook metadata migrate`
// makes (dynamodb_schema.hpp). Item layout, access patterns and costs: dynamodb_items.hpp.
// I/O thread only.
//
// - insert: conditional PutItems side by side, one for each row. BatchWriteItem would take 25 rows
// in a
//   request, for the same write units, but it has no conditions: a late second writer would
//   overwrite a row, and TransactWriteItems costs twice the write units and is missing elsewhere.
//   Success means that all rows are there; after a failure some may be, and the same insert
//   completes them. Each row then gets its number (dynamodb_feed.hpp).
// - An id that is there keeps its row. Where that row is of another payload, a line in the log says
// so.
// - The table's version is looked at before it is first used, and after each refusal. A refusal
// that
//   an operator must mend (no table, another table, wrong keys) is asked for again at most once a
//   second; until then it is the answer to everything.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "storage/dynamodb_client.hpp"
#include "storage/dynamodb_directory.hpp"
#include "storage/dynamodb_feed.hpp"

namespace daybook::storage {

class DynamodbMetadata final : public core::MetadataStore {
 public:
  explicit DynamodbMetadata(std::unique_ptr<DynamodbClient> client);

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
  // Reads the table's version, and until they were once in order its keys and index. Writes
  // nothing, so a key that may read but not write is found by the first insert.
  core::Task<core::Result<void>> probe(core::Deadline deadline) override;
  [[nodiscard]] std::string describe() const override { return client_->describe(); }

  [[nodiscard]] std::uint64_t contradictions() const override { return contradictions_; }

  [[nodiscard]] const DynamodbClient::Figures& figures() const { return client_->figures(); }

 private:
  core::Task<core::Result<void>> insert_rows(std::vector<core::MetadataRow> rows,
                                             core::Deadline deadline);
  // Shared by the puts of one insert: after the first that failed no other is begun, so that a
  // service that is away is not asked once for each row.
  using FirstFailure = std::shared_ptr<std::optional<core::Error>>;
  // What is to be published, if anything.
  using Put = core::Result<std::optional<DynamodbCandidate>>;
  core::Task<Put> put_unless(FirstFailure failure, core::MetadataRow row, std::uint64_t feed_after,
                             core::Deadline deadline);
  core::Task<Put> put(core::MetadataRow row, std::uint64_t feed_after, core::Deadline deadline);
  Put there_already(const core::MetadataRow& row, const boost::json::object& item);
  core::Task<core::Result<boost::json::object>> get(core::RecordId id, core::Deadline deadline);
  core::Task<core::Result<std::vector<core::FeedEntry>>> read_feed(std::uint64_t after,
                                                                   std::uint32_t limit,
                                                                   core::Deadline deadline);
  core::Task<core::Result<void>> make_sure(core::Deadline deadline);
  template <class T>
  core::Result<T> noted(core::Result<T> outcome);

  std::unique_ptr<DynamodbClient> client_;
  DynamodbDirectory directory_;
  DynamodbFeed feed_;
  bool version_seen_ = false;
  bool shape_seen_ = false;
  std::uint64_t contradictions_ = 0;
  core::Error refusal_;
  core::SteadyTime refused_until_{};
};

}  // namespace daybook::storage
