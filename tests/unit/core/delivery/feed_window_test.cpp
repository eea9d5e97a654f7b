// FeedWindow on a virtual clock: entries are read once for all, and never another feed's.
#include "core/delivery/feed_window.hpp"

#include <set>

#include <gtest/gtest.h>

#include "tests/contract/metadata_rows.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::core::delivery {
namespace {

using namespace std::chrono_literals;
using tests::VirtualRuntime;

// A feed of `last` entries without those that were deleted; answers take a moment.
class ScriptedFeed final : public MetadataStore {
 public:
  explicit ScriptedFeed(Runtime& runtime) : runtime_(runtime) {}

  std::string name = "first";
  std::string tenant = "bank";
  std::uint64_t last = 0;
  std::set<std::uint64_t> deleted;
  bool fails = false;
  int asked = 0;
  Duration takes = 5ms;

  Task<Result<std::vector<FeedEntry>>> feed(std::uint64_t after, std::uint32_t limit,
                                            Deadline) override {
    ++asked;
    std::vector<FeedEntry> page;
    for (std::uint64_t n = after + 1; n <= last && page.size() < limit; ++n) {
      if (deleted.contains(n)) continue;
      FeedEntry entry{.sequence = n, .published_at = runtime_.now(), .row = {}};
      entry.row.envelope.tenant = tenant;
      entry.row.envelope.subject = std::string(200, 's');
      page.push_back(std::move(entry));
    }
    co_await runtime_.sleep(takes);
    if (fails) co_return fail(Code::unavailable, Origin::metadata, Retry::safe, "away");
    co_return page;
  }
  Task<Result<FeedBounds>> feed_bounds(Deadline) override {
    const FeedBounds bounds{.feed = name, .first = 1, .last = last};
    co_await runtime_.sleep(5ms);
    co_return bounds;
  }
  Task<Result<void>> insert(std::vector<MetadataRow>, Deadline) override { co_return none(); }
  Task<Result<std::optional<MetadataRow>>> find(RecordId, Deadline) override { co_return none(); }
  Task<Result<std::vector<MetadataRow>>> list(MetadataQuery, Deadline) override {
    co_return none();
  }
  Task<Result<std::vector<MetadataRow>>> scan(std::optional<RecordId>, std::uint32_t,
                                              Deadline) override {
    co_return none();
  }
  Task<Result<std::uint64_t>> feed_before(WallTime, Deadline) override { co_return none(); }
  Task<Result<void>> probe(Deadline) override { co_return none(); }
  [[nodiscard]] std::string describe() const override { return "scripted:"; }

 private:
  static Failure none() {
    return fail(Code::unavailable, Origin::metadata, Retry::never, "a feed and nothing else");
  }
  Runtime& runtime_;
};

class FeedWindowTest : public testing::Test {
 protected:
  struct Seen {
    std::vector<std::uint64_t> numbers;
    bool more = false;
    std::string error;
  };

  static Task<> read_into(FeedWindow& window, std::uint64_t after, std::size_t limit, Seen& seen) {
    const auto page = co_await window.read(after, limit, SteadyTime::max());
    if (!page) {
      seen.error = page.error().detail;
      co_return;
    }
    for (const auto& entry : page->entries) seen.numbers.push_back(entry->sequence);
    seen.more = page->more;
  }
  Seen read(std::uint64_t after, std::size_t limit = 64) {
    Seen seen;
    runtime_.run(read_into(window_, after, limit, seen));
    return seen;
  }
  // All that one who begins after `after` gets.
  std::vector<std::uint64_t> read_on(std::uint64_t after, std::size_t limit) {
    std::vector<std::uint64_t> all;
    for (bool more = true; more;) {
      const Seen seen = read(all.empty() ? after : all.back(), limit);
      all.insert(all.end(), seen.numbers.begin(), seen.numbers.end());
      more = seen.more;
    }
    return all;
  }
  void look() { ASSERT_TRUE(runtime_.run(window_.bounds(SteadyTime::max()))); }
  static std::vector<std::uint64_t> numbers(std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> all;
    for (; from <= to; ++from) all.push_back(from);
    return all;
  }

  VirtualRuntime runtime_;
  ScriptedFeed store_{runtime_};
  FeedWindow window_{runtime_, store_};
};

TEST_F(FeedWindowTest, asks_once_for_all_who_follow_whatever_their_pages) {
  store_.last = 100;
  look();
  EXPECT_EQ(read_on(0, 64), numbers(1, 100));
  EXPECT_EQ(store_.asked, 2);
  EXPECT_EQ(read_on(0, 7), numbers(1, 100));
  EXPECT_EQ(read_on(70, 30), numbers(71, 100));
  EXPECT_EQ(store_.asked, 2);
}

TEST_F(FeedWindowTest, asks_once_for_all_who_ask_at_the_same_time) {
  store_.last = 40;
  look();
  std::vector<Seen> seen(10);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    runtime_.spawn(read_into(window_, 0, i % 2 == 0 ? 64 : 16, seen[i]));
  }
  runtime_.run_until([this] { return runtime_.tasks() == 0; });
  EXPECT_EQ(store_.asked, 1);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].numbers, numbers(1, i % 2 == 0 ? 40 : 16));
    EXPECT_EQ(seen[i].more, i % 2 == 1);
  }
}

TEST_F(FeedWindowTest, all_who_ask_together_get_the_failure_and_may_ask_again) {
  store_.last = 3;
  look();
  store_.fails = true;
  std::vector<Seen> seen(3);
  for (Seen& one : seen) runtime_.spawn(read_into(window_, 0, 64, one));
  runtime_.run_until([this] { return runtime_.tasks() == 0; });
  for (const Seen& one : seen) EXPECT_EQ(one.error, "away");
  EXPECT_EQ(store_.asked, 1);
  store_.fails = false;
  EXPECT_EQ(read(0).numbers, numbers(1, 3));
}

TEST_F(FeedWindowTest, what_comes_later_is_asked_for) {
  store_.last = 3;
  look();
  EXPECT_EQ(read(0).numbers, numbers(1, 3));
  EXPECT_TRUE(read(3).numbers.empty());
  store_.last = 5;
  EXPECT_EQ(read(3).numbers, numbers(4, 5));
  // Another one is told of what is kept, and that there is more behind it.
  store_.last = 6;
  look();
  const Seen seen = read(1);
  EXPECT_EQ(seen.numbers, numbers(2, 5));
  EXPECT_TRUE(seen.more);
  EXPECT_EQ(read(5).numbers, numbers(6, 6));
}

TEST_F(FeedWindowTest, what_was_not_read_is_no_gap_of_the_feed) {
  store_.last = 200;
  store_.deleted = {4, 5, 6};
  look();
  EXPECT_EQ(read(150, 64).numbers, numbers(151, 200));
  EXPECT_EQ(read(0, 5).numbers, (std::vector<std::uint64_t>{1, 2, 3, 7, 8}));
  const int before = store_.asked;
  EXPECT_EQ(read(3, 2).numbers, numbers(7, 8));
  EXPECT_EQ(read(5, 2).numbers, numbers(7, 8));
  EXPECT_EQ(store_.asked, before);
  // 67 was the last of that page, so 68 must not be taken for 151.
  EXPECT_EQ(read_on(60, 64), numbers(61, 200));
}

TEST_F(FeedWindowTest, keeps_no_more_than_it_may_and_still_gives_everything) {
  constexpr std::size_t kBytes = 16 * KiB;
  FeedWindow small(runtime_, store_, kBytes);
  store_.last = 1000;
  std::vector<std::weak_ptr<const FeedEntry>> all;
  for (std::uint64_t after = 0; after < store_.last;) {
    const auto page = runtime_.run(small.read(after, 64, SteadyTime::max()));
    ASSERT_TRUE(page && !page->entries.empty());
    for (const auto& entry : page->entries) all.emplace_back(entry);
    after = page->entries.back()->sequence;
  }
  EXPECT_EQ(all.size(), 1000);
  const auto kept = std::ranges::count_if(all, [](const auto& entry) { return !entry.expired(); });
  EXPECT_GT(kept, 5);
  EXPECT_LT(static_cast<std::size_t>(kept) * sizeof(FeedEntry), kBytes);
}

TEST_F(FeedWindowTest, forgets_another_feed_and_one_that_was_put_back) {
  store_.last = 5;
  look();
  EXPECT_EQ(read(0).numbers, numbers(1, 5));
  store_.name = "second";
  store_.tenant = "shop";
  store_.last = 2;
  look();
  const auto page = runtime_.run(window_.read(0, 64, SteadyTime::max()));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->entries.size(), 2);
  EXPECT_EQ(page->entries.front()->row.envelope.tenant, "shop");
  EXPECT_FALSE(page->more);
  store_.last = 1;
  store_.tenant = "put back";
  look();
  store_.last = 3;
  look();
  const auto again = runtime_.run(window_.read(0, 64, SteadyTime::max()));
  ASSERT_TRUE(again);
  ASSERT_EQ(again->entries.size(), 3);
  EXPECT_EQ(again->entries.front()->row.envelope.tenant, "put back");
}

TEST_F(FeedWindowTest, an_answer_of_the_feed_before_is_not_kept) {
  store_.last = 5;
  look();
  store_.takes = 20ms;
  Seen seen;
  runtime_.spawn(read_into(window_, 0, 64, seen));
  runtime_.run_for(1ms);
  store_.name = "second";
  store_.tenant = "shop";
  look();
  runtime_.run_until([this] { return runtime_.tasks() == 0; });
  EXPECT_EQ(seen.numbers, numbers(1, 5));
  const auto page = runtime_.run(window_.read(0, 64, SteadyTime::max()));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->entries.front()->row.envelope.tenant, "shop");
}

TEST_F(FeedWindowTest, a_look_that_is_older_than_a_read_forgets_nothing) {
  store_.last = 5;
  look();
  runtime_.spawn([](FeedWindow& window) -> Task<> {
    EXPECT_TRUE(co_await window.bounds(SteadyTime::max()));
  }(window_));
  runtime_.run_for(1ms);
  store_.last = 8;
  EXPECT_EQ(read(0).numbers, numbers(1, 8));
  runtime_.run_until([this] { return runtime_.tasks() == 0; });
  const int before = store_.asked;
  EXPECT_EQ(read(0).numbers, numbers(1, 8));
  EXPECT_EQ(store_.asked, before);
}

}  // namespace
}  // namespace daybook::core::delivery
