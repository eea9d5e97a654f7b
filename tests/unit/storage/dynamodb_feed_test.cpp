// The feed of a DynamoDB table: its pages, and that every record gets one number whatever is lost
// on the way, whoever dies, and however many write at once.
#include "storage/dynamodb_feed.hpp"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/contract/run_task.hpp"
#include "tests/unit/storage/dynamodb_table.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using tests::Bench;
using tests::refusal;
using tests::some_rows;
using tests::soon;
using tests::Table;

using Rows = std::vector<core::MetadataRow>;
using Feed = std::vector<core::FeedEntry>;

DynamodbFeedPage some_page(std::uint64_t first, std::size_t count, core::WallTime at = {}) {
  DynamodbFeedPage page{.first = first, .published_at = at, .ids = {}};
  for (const auto& row : some_rows(count)) page.ids.push_back(row.envelope.id);
  return page;
}

void put_page(Table& table, const DynamodbFeedPage& page) {
  json::object item = item_of_page(page);
  table.put(text_of(item, "bucket").value(), text_of(item, "id").value(), item);
}

Feed whole_feed(Bench& bench, DynamodbMetadata& store) {
  Feed all;
  for (;;) {
    const auto page =
        bench.run(store.feed(all.empty() ? 0 : all.back().sequence, 1000, soon())).value();
    all.insert(all.end(), page.begin(), page.end());
    if (page.size() < 1000) return all;
  }
}

void expect_each_once(const Feed& feed, const Rows& rows) {
  std::set<core::RecordId> published;
  core::WallTime previous{};
  for (std::size_t i = 0; i < feed.size(); ++i) {
    EXPECT_EQ(feed[i].sequence, i + 1);
    EXPECT_GE(feed[i].published_at, previous);
    previous = feed[i].published_at;
    EXPECT_TRUE(published.insert(feed[i].row.envelope.id).second) << "twice: " << i + 1;
  }
  for (const core::MetadataRow& row : rows) EXPECT_TRUE(published.contains(row.envelope.id));
  EXPECT_EQ(published.size(), rows.size());
}

TEST(DynamodbFeedPage, comes_back_from_its_item_as_it_went_in_and_takes_one_read_unit) {
  const auto page = some_page(65'537, kFeedPageIds, tests::wall_time(1'795'233'906'123'456));
  const json::object item = item_of_page(page);
  EXPECT_EQ(text_of(item, "bucket"), "feed#1");
  EXPECT_EQ(text_of(item, "id"), "00000000000000065537");
  EXPECT_EQ(page_of_item(item).value(), page);
  EXPECT_LT(item_bytes(item), 4096U);
}

TEST(DynamodbFeedPage, with_an_unusable_value_is_damaged) {
  const json::object whole = item_of_page(some_page(7, 3));
  const std::pair<const char*, const char*> cases[] = {
      {"id", R"({"S":"7"})"},          {"id", R"({"S":"00000000000000000000"})"},
      {"last", R"({"N":"10"})"},       {"last", R"({"S":"9"})"},
      {"published_at", R"({"S":""})"}, {"ids", R"({"B":""})"},
      {"ids", R"({"B":"AAAA"})"},      {"ids", R"({"N":"1"})"}};
  for (const auto& [name, value] : cases) {
    json::object item = whole;
    item[name] = json::parse(value);
    const auto page = page_of_item(item);
    ASSERT_FALSE(page) << name << value;
    EXPECT_EQ(page.error().code, Code::damaged);
  }
}

TEST(DynamodbFeed, without_a_head_says_what_makes_it) {
  Table table;
  table.items.erase({"feed", "head"});
  Bench bench(table.answering());
  const auto done = bench.run(bench.store().insert(some_rows(1), soon()));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::misconfigured);
  EXPECT_NE(done.error().detail.find("daybook metadata migrate"), std::string::npos);
  EXPECT_EQ(table.rows(), 0);
}

TEST(DynamodbFeed, gets_a_row_whose_writer_died_before_it_was_published) {
  Table table;
  bool dying = true;
  table.fault = [&](const std::string& operation, const std::string& id) -> std::string {
    const bool page = operation == "PutItem" && id.starts_with("0000000000");
    return dying && page ? refusal("AccessDeniedException") : "";
  };
  Bench bench(table.answering());
  const auto rows = some_rows(5);
  const auto failed = bench.run(bench.store().insert(rows, soon()));
  ASSERT_FALSE(failed);
  EXPECT_EQ(table.rows(), 5);
  dying = false;
  // Others go on, and the one who takes over has part of the batch beside something else.
  auto others = some_rows(1200);
  auto other = bench.another_store();
  for (std::size_t i = 0; i < others.size(); i += 100) {
    const auto part = others.begin() + static_cast<std::ptrdiff_t>(i);
    ASSERT_TRUE(bench.run(other->insert({part, part + 100}, soon())));
  }
  const auto heir = bench.another_store();
  const auto more = some_rows(1);
  ASSERT_TRUE(bench.run(heir->insert({rows[3], others[7], more[0], rows[0]}, soon())));
  ASSERT_TRUE(bench.run(other->insert(rows, soon())));
  Rows all = rows;
  all.insert(all.end(), others.begin(), others.end());
  all.push_back(more[0]);
  expect_each_once(whole_feed(bench, *heir), all);
}

TEST(DynamodbFeed, goes_on_in_the_next_group_also_where_the_head_lags) {
  Table table;
  // The end of a group, as if all before it were there.
  put_page(table, some_page(kFeedGroup - 11, 10));
  Bench bench(table.answering());
  const auto rows = some_rows(300);
  ASSERT_TRUE(bench.run(bench.store().insert(rows, soon())));
  EXPECT_TRUE(table.items.contains({"feed#0", "00000000000000065535"}));
  EXPECT_TRUE(table.items.contains({"feed#1", "00000000000000065537"}));
  EXPECT_EQ(number_of(table.items[{"feed", "head"}], "group"), 1U);
  table.items[{"feed", "head"}]["group"] = dynamodb_number(0);
  auto other = bench.another_store();
  EXPECT_EQ(bench.run(other->feed_bounds(soon()))->last, kFeedGroup + 298);
  const auto entries = bench.run(other->feed(kFeedGroup - 2, 1000, soon())).value();
  ASSERT_EQ(entries.size(), 300);
  EXPECT_EQ(entries.front().sequence, kFeedGroup - 1);
  EXPECT_EQ(entries.back().sequence, kFeedGroup + 298);
  // One that is there already, looked for across the border.
  ASSERT_TRUE(bench.run(bench.another_store()->insert({rows[0], rows[299]}, soon())));
  EXPECT_EQ(bench.run(other->feed_bounds(soon()))->last, kFeedGroup + 298);
}

TEST(DynamodbFeed, is_not_begun_anew_where_its_end_was_lost) {
  Table table;
  table.items[{"feed", "head"}]["group"] = dynamodb_number(3);
  Bench bench(table.answering());
  const auto done = bench.run(bench.store().insert(some_rows(1), soon()));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::damaged);
}

TEST(DynamodbFeed, begins_where_old_pages_were_removed) {
  Table table;
  Bench bench(table.answering());
  const auto rows = some_rows(500);
  for (const std::size_t i : {0UL, 200UL, 400UL}) {
    const auto part = rows.begin() + static_cast<std::ptrdiff_t>(i);
    ASSERT_TRUE(bench.run(bench.store().insert({part, part + 100}, soon())));
  }
  table.items.erase({"feed#0", "00000000000000000001"});
  table.items[{"feed", "head"}]["first"] = dynamodb_number(101);
  const auto other = bench.another_store();
  EXPECT_EQ(bench.run(other->feed_bounds(soon()))->first, 101U);
  EXPECT_EQ(bench.run(other->feed(0, 10, soon()))->front().sequence, 101U);
  EXPECT_EQ(bench.run(other->feed_before(tests::wall_time(0), soon())).value(), 100U);
  EXPECT_EQ(bench.run(other->feed_before(rows[0].envelope.received_at, soon())).value(), 100U);
}

// Five writers, one batch after the other each, with much in common.
core::Task<core::Result<void>> insert_shuffled(DynamodbMetadata& store, Rows rows, unsigned seed) {
  std::mt19937 random(seed);
  std::ranges::shuffle(rows, random);
  for (std::size_t i = 0; i < rows.size();) {
    const std::size_t end = std::min(rows.size(), i + 1 + random() % 9);
    const Rows part(rows.begin() + static_cast<std::ptrdiff_t>(i),
                    rows.begin() + static_cast<std::ptrdiff_t>(end));
    auto done = co_await store.insert(part, soon());
    if (done) i = end;  // otherwise the same again
    if (!done && done.error().retry == core::Retry::never) co_return done;
  }
  co_return core::Result<void>{};
}

TEST(DynamodbFeed, numbers_each_record_once_whatever_is_lost_on_the_way) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    Table table;
    std::mt19937 random(seed);
    bool faults = true;
    Bench bench([&](const std::string& operation, const json::object& request) {
      const unsigned luck = faults ? random() % 100 : 50;
      if (luck < 4) return std::string();  // nothing done, nothing said
      std::string text = table.answer_to(operation, request);
      return luck < 8 ? std::string() : text;  // done, and not said
    });
    const auto rows = some_rows(120);
    std::vector<std::unique_ptr<DynamodbMetadata>> stores;
    std::vector<core::Task<core::Result<void>>> writers;
    for (unsigned writer = 0; writer < 5; ++writer) {
      stores.push_back(bench.another_store());
      const auto first = rows.begin() + (writer < 3 ? 0 : 60);
      writers.push_back(insert_shuffled(*stores.back(), {first, first + 60}, 10 * seed + writer));
    }
    for (const auto& done : bench.run(tests::gather(std::move(writers)))) {
      EXPECT_TRUE(done) << done.error().detail;
    }
    faults = false;
    SCOPED_TRACE("seed " + std::to_string(seed));
    for (const auto& store : stores) expect_each_once(whole_feed(bench, *store), rows);
  }
}

}  // namespace
}  // namespace daybook::storage
