// The feed of an SQLite file: what an older file gets, and what remains when rows are deleted.
#include "storage/sqlite_feed.hpp"

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "storage/sqlite_metadata.hpp"
#include "storage/sqlite_rows.hpp"
#include "storage/sqlite_schema.hpp"
#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::storage {
namespace {

using std::chrono::seconds;
using tests::run_task;
using tests::soon;

class SqliteFeed : public testing::Test {
 protected:
  std::unique_ptr<SqliteMetadata> open() {
    return SqliteMetadata::open({.file = file_}, workers_, workers_).value();
  }
  void execute(const std::string& sql) {
    const auto other =
        SqliteConnection::open(file_.string(), SqliteConnection::Mode::read_write_create).value();
    const auto done = other->execute(sql.c_str());
    ASSERT_TRUE(done) << done.error().detail;
  }
  // A file as version 1 made it, with `rows` records; the last but one was received last.
  void make_version_1(int rows) {
    execute(kSqliteSchemaSteps[0]);
    for (int i = 0; i < rows; ++i) {
      const core::WallTime at = start_ + seconds(i == rows - 2 ? rows : i);
      const std::string id = ids_.next(start_ + seconds(i), 0).str();
      execute("INSERT INTO records VALUES ('" + id + "', 'bank', '', '', '', '', NULL, '" +
              core::format_time(at) + "', '', 1, 1, '" + std::string(64, 'a') + "', '" +
              std::string(64, 'b') + "', 0, '[1]', 'k', 'l', '', 0, '', NULL, 'indexed', 1, " +
              "'fsync', '', '{}', '" + core::format_time(at) + "')");
      written_.push_back(id);
    }
  }
  static std::vector<core::FeedEntry> feed_of(core::MetadataStore& store, std::uint64_t after = 0) {
    return run_task(store.feed(after, 1000, soon())).value();
  }

  tests::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "metadata.sqlite";
  tests::InlineWorkers workers_;
  core::RecordIdGenerator ids_;
  core::WallTime start_ = tests::wall_time(1'700'000'000'000'000);
  std::vector<std::string> written_;
};

TEST_F(SqliteFeed, of_an_older_file_has_its_records_in_the_order_of_their_ids) {
  make_version_1(5);
  SqliteSchema schema({.file = file_}, workers_);
  EXPECT_EQ(run_task(schema.status(soon()))->state, core::SchemaState::older);
  EXPECT_EQ(run_task(schema.migrate(true, soon())).value(),
            std::vector<std::string>{kSqliteSchemaSteps[1]});
  const auto store = open();
  EXPECT_EQ(run_task(schema.status(soon()))->state, core::SchemaState::current);
  const auto entries = feed_of(*store);
  ASSERT_EQ(entries.size(), 5);
  const std::vector<int> published = {0, 1, 2, 5, 5};  // never before its predecessor
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].sequence, i + 1);
    EXPECT_EQ(entries[i].row.envelope.id.str(), written_[i]);
    EXPECT_EQ(entries[i].published_at, start_ + seconds(published[i]));
    EXPECT_TRUE(entries[i].row.envelope.context.empty());
    EXPECT_EQ(entries[i].row.started_at, std::nullopt);
  }
  const auto fresh = tests::full_row(ids_.next(start_ + seconds(9), 0), start_ + seconds(9));
  ASSERT_TRUE(run_task(store->insert({entries[0].row, fresh}, soon())));
  EXPECT_EQ(feed_of(*store, 5).size(), 1);
  EXPECT_EQ(feed_of(*store, 5)[0].sequence, 6);
}

TEST_F(SqliteFeed, of_a_large_older_file_is_made_in_one_go) {
  make_version_1(1);
  execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
      "INSERT INTO records SELECT printf('0190a5f0-0000-7000-8000-%012x', i), tenant, source, "
      "event_id, type, subject, event_time, received_at, content_type, size, stored_size, sha256, "
      "stored_sha256, data_offset, frames, object_key, object_location, object_version, partition, "
      "position, leaf_index, state, attempts, durability, idempotency_key, attributes, indexed_at "
      "FROM records, n");
  const auto bounds = run_task(open()->feed_bounds(soon())).value();
  EXPECT_EQ(bounds.first, 1);
  EXPECT_EQ(bounds.last, 50'001);
}

TEST_F(SqliteFeed, has_a_name_of_its_own_that_stays) {
  const std::string name = run_task(open()->feed_bounds(soon()))->feed;
  EXPECT_TRUE(core::RecordId::parse(name)) << name;
  EXPECT_EQ(name[14], '4');
  EXPECT_NE(std::string("89ab").find(name[19]), std::string::npos) << name;
  EXPECT_EQ(run_task(open()->feed_bounds(soon()))->feed, name);
  std::filesystem::remove(file_);
  EXPECT_NE(run_task(open()->feed_bounds(soon()))->feed, name);
}

TEST_F(SqliteFeed, goes_on_where_old_entries_or_records_were_deleted) {
  const auto store = open();
  std::vector<core::MetadataRow> rows;
  for (int i = 0; i < 10; ++i) {
    rows.push_back(tests::bare_row(ids_.next(start_, 0), start_ + seconds(i)));
  }
  ASSERT_TRUE(run_task(store->insert(rows, soon())));
  execute("DELETE FROM feed WHERE sequence <= 3");
  EXPECT_EQ(run_task(store->feed_bounds(soon()))->first, 4);
  EXPECT_EQ(feed_of(*store)[0].sequence, 4);
  execute("DELETE FROM records WHERE id = '" + rows[5].envelope.id.str() + "'");
  EXPECT_EQ(run_task(store->feed(4, 2, soon()))->size(), 2) << "a page that is short is the last";
  ASSERT_TRUE(run_task(store->insert({rows[5]}, soon()))) << "and it may come back";
  EXPECT_EQ(run_task(store->feed_bounds(soon()))->last, 10);
  EXPECT_EQ(feed_of(*store, 5)[0].row, rows[5]);
  execute("DELETE FROM feed; DELETE FROM records");
  const auto bounds = run_task(store->feed_bounds(soon())).value();
  EXPECT_EQ(bounds.first, 11);
  EXPECT_EQ(bounds.last, 10);
  EXPECT_EQ(run_task(store->feed_before(start_, soon())).value(), 10);
  ASSERT_TRUE(run_task(store->insert({rows[0]}, soon())));
  EXPECT_EQ(feed_of(*store)[0].sequence, 11);
}

TEST_F(SqliteFeed, gives_no_number_to_a_batch_that_was_not_committed) {
  const auto store = open();
  execute(
      "CREATE TRIGGER poison BEFORE INSERT ON records WHEN NEW.subject = 'poison' "
      "BEGIN SELECT RAISE(ABORT, 'refused by a test'); END");
  auto poison = tests::bare_row(ids_.next(start_, 0), start_);
  poison.envelope.subject = "poison";
  const auto row = tests::bare_row(ids_.next(start_, 0), start_);
  EXPECT_FALSE(run_task(store->insert({row, poison}, soon())));
  EXPECT_EQ(run_task(store->feed_bounds(soon()))->last, 0);
  EXPECT_TRUE(run_task(store->insert({row}, soon())));
  EXPECT_EQ(feed_of(*store)[0].sequence, 1);
}

TEST_F(SqliteFeed, is_read_and_searched_by_an_index) {
  const auto store = open();
  const auto other =
      SqliteConnection::open(file_.string(), SqliteConnection::Mode::read_only).value();
  for (const std::string& sql :
       {std::string(kReadFeed), std::string("SELECT sequence - 1 FROM feed WHERE published_at >= ? "
                                            "ORDER BY published_at, sequence LIMIT 1")}) {
    const auto handle = other->prepare("EXPLAIN QUERY PLAN " + sql);
    ASSERT_TRUE(handle) << handle.error().detail;
    SqliteStatement plan(*other, *handle);
    std::string steps;
    while (plan.step().value()) steps += std::string(plan.text(3)) + "; ";
    EXPECT_EQ(steps.find("SCAN"), std::string::npos) << steps;
    EXPECT_EQ(steps.find("TEMP B-TREE"), std::string::npos) << steps;
  }
}

}  // namespace
}  // namespace daybook::storage
