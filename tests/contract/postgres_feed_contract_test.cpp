// What is PostgreSQL's own about the feed, on a real server. The suite has Postgresql in its name,
// so that one process can run them all on one server.
#include <gtest/gtest.h>

#include "core/text.hpp"
#include "storage/postgres_feed.hpp"
#include "storage/postgres_metadata.hpp"
#include "storage/postgres_schema.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/postgresql.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using core::SchemaState;
using std::chrono::seconds;

class PostgresqlFeed : public testing::Test {
 protected:
  void SetUp() override {
    if (!server_.skip_reason().empty()) GTEST_SKIP() << server_.skip_reason();
    schema_ = server_.fresh_schema();
  }

  std::unique_ptr<storage::PostgresMetadata> store() {
    return std::make_unique<storage::PostgresMetadata>(runtime_, server_.settings(schema_));
  }
  core::Result<std::vector<std::string>> migrate() {
    storage::PostgresSchema schema(runtime_, server_.settings(schema_));
    return run_on_io(runtime_, schema.migrate(false, soon()));
  }
  core::SchemaStatus status() {
    storage::PostgresSchema schema(runtime_, server_.settings(schema_));
    return run_on_io(runtime_, schema.status(soon())).value();
  }
  std::string psql(const std::string& sql) {
    return server_.psql(sql, schema_).value_or("psql failed");
  }
  // The tables of version 1 with `rows` records; the last but one was received last.
  void make_version_1(int rows) {
    for (const std::string& step : storage::postgres_schema_steps(0, 1)) EXPECT_EQ(psql(step), "");
    for (int i = 0; i < rows; ++i) {
      const core::WallTime at = start_ + seconds(i == rows - 2 ? rows : i);
      ids_written_.push_back(ids_.next(start_ + seconds(i), 0));
      EXPECT_EQ(psql(old_insert(ids_written_.back(), at)), "");
    }
  }
  static std::string old_insert(core::RecordId id, core::WallTime at) {
    return "INSERT INTO daybook_records (id, tenant, source, event_id, type, subject, received_at, "
           "content_type, size, stored_size, sha256, stored_sha256, data_offset, frames, "
           "object_key, object_location, object_version, partition, position, state, attempts, "
           "durability, idempotency_key, attributes, indexed_at) VALUES ('" +
           id.str() + "', 'bank', '', '', '', '', '" + core::format_time(at) + "', '', 1, 1, '" +
           std::string(64, 'a') + "', '" + std::string(64, 'b') +
           "', 0, '[1]', 'k', 'l', '', 0, '', 'indexed', 1, 'fsync', '', '{}', now())";
  }
  core::MetadataRow row() {
    now_ += seconds(1);
    return full_row(ids_.next(now_, 1), now_);
  }
  core::Result<void> insert(core::MetadataStore& into, std::vector<core::MetadataRow> rows) {
    return run_on_io(runtime_, into.insert(std::move(rows), soon()));
  }
  std::vector<core::FeedEntry> feed_of(core::MetadataStore& store, std::uint64_t after = 0,
                                       std::uint32_t limit = 1000) {
    return run_on_io(runtime_, store.feed(after, limit, soon())).value();
  }

  const Postgresql& server_ = Postgresql::instance();
  std::string schema_;
  io::IoRuntime runtime_;
  core::RecordIdGenerator ids_;
  core::WallTime start_ = wall_time(1'700'000'000'000'000);
  core::WallTime now_ = wall_time(1'795'233'906'123'456);
  std::vector<core::RecordId> ids_written_;
};

TEST_F(PostgresqlFeed, of_older_tables_has_their_records_in_the_order_of_their_ids) {
  make_version_1(5);
  EXPECT_EQ(status().state, SchemaState::older);
  const auto refused = insert(*store(), {row()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, core::Code::misconfigured);
  EXPECT_NE(refused.error().detail.find("daybook metadata migrate"), std::string::npos);
  const auto steps = migrate();
  ASSERT_TRUE(steps) << steps.error().detail;
  EXPECT_EQ(status().state, SchemaState::current);
  const auto metadata = store();
  const auto entries = feed_of(*metadata);
  ASSERT_EQ(entries.size(), 5);
  const std::vector<int> published = {0, 1, 2, 5, 5};  // never before its predecessor
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].sequence, i + 1);
    EXPECT_EQ(entries[i].row.envelope.id, ids_written_[i]);
    EXPECT_EQ(entries[i].published_at, start_ + seconds(published[i]));
  }
  ASSERT_TRUE(insert(*metadata, {entries[0].row, row()}));
  ASSERT_EQ(feed_of(*metadata, 5).size(), 1);
  EXPECT_EQ(feed_of(*metadata, 5)[0].sequence, 6);
}

TEST_F(PostgresqlFeed, of_no_records_begins_at_1) {
  make_version_1(0);
  ASSERT_TRUE(migrate());
  const auto metadata = store();
  ASSERT_TRUE(insert(*metadata, {row()}));
  EXPECT_EQ(feed_of(*metadata)[0].sequence, 1);
}

TEST_F(PostgresqlFeed, is_not_passed_by_a_program_of_the_version_before) {
  make_version_1(1);
  ASSERT_TRUE(migrate());
  const std::string refused = psql(old_insert(ids_.next(start_, 0), start_));
  EXPECT_EQ(refused, "psql failed");
  EXPECT_EQ(psql("SELECT count(*) FROM daybook_records"), "1\n");
}

TEST_F(PostgresqlFeed, has_no_gap_where_a_transaction_was_rolled_back) {
  ASSERT_TRUE(migrate());
  const auto metadata = store();
  ASSERT_TRUE(insert(*metadata, {row()}));
  // Numbered, and then refused at the end of its transaction.
  psql(
      "CREATE FUNCTION hook() RETURNS trigger LANGUAGE plpgsql AS \\$\\$ BEGIN "
      "RAISE EXCEPTION USING ERRCODE = '23514'; END \\$\\$; "
      "CREATE CONSTRAINT TRIGGER hook AFTER INSERT ON daybook_feed DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION hook()");
  EXPECT_FALSE(insert(*metadata, {row(), row()}));
  psql("DROP TRIGGER hook ON daybook_feed");
  const auto last = row();
  ASSERT_TRUE(insert(*metadata, {last}));
  const auto entries = feed_of(*metadata);
  ASSERT_EQ(entries.size(), 2);
  EXPECT_EQ(entries[1].sequence, 2);
  EXPECT_EQ(entries[1].row, last);
}

TEST_F(PostgresqlFeed, goes_on_where_old_entries_or_records_were_deleted) {
  ASSERT_TRUE(migrate());
  const auto metadata = store();
  std::vector<core::MetadataRow> rows;
  for (int i = 0; i < 10; ++i) rows.push_back(row());
  ASSERT_TRUE(insert(*metadata, rows));
  psql("DELETE FROM daybook_feed WHERE sequence <= 3");
  EXPECT_EQ(run_on_io(runtime_, metadata->feed_bounds(soon()))->first, 4);
  psql("DELETE FROM daybook_records WHERE id = '" + rows[5].envelope.id.str() + "'");
  EXPECT_EQ(feed_of(*metadata, 4, 2).size(), 2) << "a page that is short is the last";
  ASSERT_TRUE(insert(*metadata, {rows[5]})) << "and it may come back";
  EXPECT_EQ(feed_of(*metadata, 5)[0].row, rows[5]);
  psql("DELETE FROM daybook_feed; DELETE FROM daybook_records");
  const auto bounds = run_on_io(runtime_, metadata->feed_bounds(soon())).value();
  EXPECT_EQ(bounds.first, 11);
  EXPECT_EQ(bounds.last, 10);
  ASSERT_TRUE(insert(*metadata, {rows[0]}));
  EXPECT_EQ(feed_of(*metadata)[0].sequence, 11);
}

}  // namespace
}  // namespace daybook::tests
