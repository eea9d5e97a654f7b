// How a table of the version before gets its feed, on a real service. The suite has the service's
// name in its own, so that one process can run them all on one server.
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "storage/dynamodb_feed_pages.hpp"
#include "storage/dynamodb_items.hpp"
#include "storage/dynamodb_metadata.hpp"
#include "storage/dynamodb_schema.hpp"
#include "tests/contract/dynamodb_server.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

namespace json = boost::json;
using core::SchemaState;
using storage::dynamodb_key;
using storage::dynamodb_number;

class DynaliteFeed : public testing::Test {
 protected:
  void SetUp() override {
    if (!server_.skip_reason().empty()) GTEST_SKIP() << server_.skip_reason();
    client_ = server_.fresh_client(runtime_);
    ASSERT_TRUE(migrate());
    for (int i = 0; i < 300; ++i) {
      now_ += std::chrono::seconds(1);
      rows_.push_back(bare_row(ids_.next(now_, 0), now_));
    }
  }
  std::unique_ptr<storage::DynamodbMetadata> store() {
    return std::make_unique<storage::DynamodbMetadata>(server_.client(runtime_, client_->table()));
  }
  core::Result<std::vector<std::string>> migrate() {
    storage::DynamodbSchema schema(server_.client(runtime_, client_->table()));
    return run_on_io(runtime_, schema.migrate(false, soon()));
  }
  core::SchemaStatus status() {
    storage::DynamodbSchema schema(server_.client(runtime_, client_->table()));
    return run_on_io(runtime_, schema.status(soon())).value();
  }
  void call(const std::string& operation, json::object request) {
    const auto done = run_on_io(runtime_, client_->call(operation, std::move(request), soon()));
    ASSERT_TRUE(done) << done.error().detail;
  }
  void insert(core::MetadataStore& into, std::vector<core::MetadataRow> rows) {
    const auto done = run_on_io(runtime_, into.insert(std::move(rows), soon()));
    ASSERT_TRUE(done) << done.error().detail;
  }
  // The table as version 1 left it, but for the feed's first `pages` pages.
  void make_version_1(std::size_t pages) {
    auto metadata = store();
    for (std::size_t i = 0; i < rows_.size(); i += storage::kFeedPageIds) {
      insert(*metadata, {rows_.begin() + static_cast<std::ptrdiff_t>(i),
                         rows_.begin() + static_cast<std::ptrdiff_t>(
                                             std::min(i + storage::kFeedPageIds, rows_.size()))});
    }
    for (const std::size_t row : {7, 299}) {  // those that come again
      const core::RecordId id = rows_[row].envelope.id;
      call("UpdateItem", {{"Key", dynamodb_key(storage::bucket_of(id), id.str())},
                          {"UpdateExpression", "REMOVE feed_after"}});
    }
    for (std::size_t page = pages; page < 2; ++page) {
      std::string number = std::to_string(1 + page * storage::kFeedPageIds);
      number.insert(0, 20 - number.size(), '0');
      call("DeleteItem", {{"Key", dynamodb_key("feed#0", number)}});
    }
    if (pages == 0) call("DeleteItem", {{"Key", dynamodb_key("feed", "head")}});
    json::object version = dynamodb_key("schema", "version");
    version["number"] = dynamodb_number(pages == 0 ? 1 : 2);
    if (pages != 0) version["unfinished"] = json::object{{"BOOL", true}};
    call("PutItem", {{"Item", std::move(version)}});
  }
  void is_made(std::size_t pages) {
    make_version_1(pages);
    EXPECT_EQ(status().state, SchemaState::older);
    const auto refused = run_on_io(runtime_, store()->insert({rows_[0]}, soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, core::Code::misconfigured);
    EXPECT_NE(refused.error().detail.find("daybook metadata migrate"), std::string::npos);
    std::vector<core::Task<core::Result<std::vector<std::string>>>> both;
    storage::DynamodbSchema first(server_.client(runtime_, client_->table()));
    storage::DynamodbSchema second(server_.client(runtime_, client_->table()));
    both.push_back(first.migrate(false, soon()));
    both.push_back(second.migrate(false, soon()));
    for (const auto& done : run_on_io(runtime_, gather(std::move(both)))) {
      EXPECT_TRUE(done) << done.error().detail;
    }
    EXPECT_EQ(status().state, SchemaState::current);
    EXPECT_TRUE(migrate().value().empty());
    auto metadata = store();
    insert(*metadata, {rows_[7], rows_[299]});
    const auto entries = run_on_io(runtime_, metadata->feed(0, 1000, soon())).value();
    ASSERT_EQ(entries.size(), rows_.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      EXPECT_EQ(entries[i].sequence, i + 1);
      EXPECT_EQ(entries[i].row.envelope.id, rows_[i].envelope.id);
      EXPECT_GE(entries[i].published_at, rows_[i].envelope.received_at);
    }
    if (pages == 0) {
      EXPECT_EQ(entries.back().published_at, rows_.back().envelope.received_at);
    }
    now_ += std::chrono::seconds(1);
    insert(*metadata, {bare_row(ids_.next(now_, 0), now_)});
    EXPECT_EQ(run_on_io(runtime_, metadata->feed(300, 9, soon()))->size(), 1);
  }

  io::IoRuntime runtime_;
  DynamodbServer& server_ = DynamodbServer::dynalite();
  std::unique_ptr<storage::DynamodbClient> client_;
  core::RecordIdGenerator ids_;
  core::WallTime now_ = wall_time(1'700'000'000'000'000);
  std::vector<core::MetadataRow> rows_;
};

TEST_F(DynaliteFeed, of_an_older_table_has_its_records_in_the_order_of_their_ids) {
  is_made(0);
}
TEST_F(DynaliteFeed, of_an_older_table_is_finished_by_the_next_migration) {
  is_made(1);
}

}  // namespace
}  // namespace daybook::tests
