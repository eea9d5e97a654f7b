// FeedTail on a virtual clock: whoever waits is woken, and the store is asked once for all of them.
#include "api/feed_tail.hpp"

#include <gtest/gtest.h>

#include "tests/contract/fakes/memory_metadata_store.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::api {
namespace {

using namespace std::chrono_literals;
using tests::MemoryMetadataStore;
using tests::VirtualRuntime;

// Counts what it is asked, and may fail.
class CountingStore final : public core::MetadataStore {
 public:
  core::Task<core::Result<void>> insert(std::vector<core::MetadataRow> rows,
                                        core::Deadline deadline) override {
    return memory.insert(std::move(rows), deadline);
  }
  core::Task<core::Result<std::optional<core::MetadataRow>>> find(
      core::RecordId id, core::Deadline deadline) override {
    return memory.find(id, deadline);
  }
  core::Task<core::Result<std::vector<core::MetadataRow>>> list(core::MetadataQuery query,
                                                                core::Deadline deadline) override {
    return memory.list(std::move(query), deadline);
  }
  core::Task<core::Result<std::vector<core::MetadataRow>>> scan(std::optional<core::RecordId> after,
                                                                std::uint32_t limit,
                                                                core::Deadline deadline) override {
    return memory.scan(after, limit, deadline);
  }
  core::Task<core::Result<std::vector<core::FeedEntry>>> feed(std::uint64_t after,
                                                              std::uint32_t limit,
                                                              core::Deadline deadline) override {
    ++asked;
    if (fails) {
      co_return core::fail(core::Code::unavailable, core::Origin::metadata, core::Retry::safe,
                           "away");
    }
    co_return co_await memory.feed(after, limit, deadline);
  }
  core::Task<core::Result<core::FeedBounds>> feed_bounds(core::Deadline deadline) override {
    return memory.feed_bounds(deadline);
  }
  core::Task<core::Result<std::uint64_t>> feed_before(core::WallTime since,
                                                      core::Deadline deadline) override {
    return memory.feed_before(since, deadline);
  }
  core::Task<core::Result<void>> probe(core::Deadline deadline) override {
    return memory.probe(deadline);
  }
  [[nodiscard]] std::string describe() const override { return "counting:"; }

  MemoryMetadataStore memory;
  int asked = 0;
  bool fails = false;
};

class FeedTailTest : public testing::Test {
 protected:
  FeedTailTest() { runtime_.spawn(tail_.run()); }
  ~FeedTailTest() override {
    tail_.close();
    runtime_.run_until([this] { return runtime_.tasks() == 0; });
  }
  void publish(int count = 1) {
    std::vector<core::MetadataRow> rows;
    for (int i = 0; i < count; ++i) {
      rows.push_back(tests::bare_row(ids_.next(runtime_.now(), 0), runtime_.now()));
    }
    ASSERT_TRUE(runtime_.run(store_.insert(std::move(rows), core::Deadline::max())));
  }
  // Waits in a task of its own; the time that it took, when it has ended.
  std::shared_ptr<std::optional<core::Duration>> wait(std::uint64_t after, core::Duration most) {
    auto took = std::make_shared<std::optional<core::Duration>>();
    runtime_.spawn([](FeedTailTest& test, std::uint64_t number, core::Duration longest,
                      std::shared_ptr<std::optional<core::Duration>> out) -> core::Task<> {
      const core::SteadyTime began = test.runtime_.steady_now();
      co_await test.tail_.wait_behind(number, began + longest);
      *out = test.runtime_.steady_now() - began;
    }(*this, after, most, took));
    return took;
  }
  void sleep(core::Duration time) { runtime_.run(runtime_.sleep(time)); }
  std::size_t read(std::uint64_t after, std::uint32_t limit = 1000) {
    return runtime_.run(tail_.read(after, limit, core::Deadline::max())).value().size();
  }

  VirtualRuntime runtime_;
  CountingStore store_;
  core::RecordIdGenerator ids_;
  FeedTail tail_{runtime_, store_, {.poll_interval = 250ms, .readers_max = 3}};
};

TEST_F(FeedTailTest, asks_nothing_while_nobody_waits) {
  publish(5);
  sleep(1h);
  tail_.nudge();
  sleep(1h);
  EXPECT_EQ(store_.asked, 0);
}

TEST_F(FeedTailTest, wakes_whoever_waits_within_the_poll_interval) {
  publish();
  const auto took = wait(1, 30s);
  sleep(10s);
  EXPECT_FALSE(*took);
  publish();
  sleep(1s);
  ASSERT_TRUE(*took);
  EXPECT_LE(**took, 10s + 250ms);
  const int asked = store_.asked;
  EXPECT_LE(asked, 10 * 4 + 4);
  sleep(1h);
  EXPECT_EQ(store_.asked, asked) << "nobody waits any more";
}

TEST_F(FeedTailTest, wakes_at_once_when_this_process_has_indexed_a_record) {
  publish();
  const auto took = wait(1, 30s);
  sleep(1010ms);
  publish();
  tail_.nudge();
  sleep(1ms);
  ASSERT_TRUE(*took);
  EXPECT_LE(**took, 1011ms);
}

TEST_F(FeedTailTest, ends_a_wait_with_its_deadline) {
  const auto took = wait(0, 7s);
  sleep(20s);
  ASSERT_TRUE(*took);
  EXPECT_EQ(**took, 7s);
}

TEST_F(FeedTailTest, asks_once_for_a_crowd_and_gives_it_what_it_read) {
  publish(3);
  std::vector<std::shared_ptr<std::optional<core::Duration>>> crowd;
  for (int i = 0; i < 500; ++i) crowd.push_back(wait(3, 1h));
  sleep(100ms);
  const int before = store_.asked;
  publish(10);
  tail_.nudge();
  sleep(100ms);
  for (const auto& one : crowd) ASSERT_TRUE(*one);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(read(3), 10U);
  EXPECT_EQ(read(3, 4), 4U);
  EXPECT_EQ(read(7), 6U);
  EXPECT_LE(store_.asked - before, 3);
  EXPECT_EQ(read(2), 11U) << "what it has not kept comes from the store";
}

TEST_F(FeedTailTest, goes_on_from_where_a_new_reader_stands_and_keeps_a_bounded_part) {
  publish(5000);
  const auto took = wait(5000, 1h);
  sleep(1s);
  EXPECT_LE(store_.asked, 6) << "the 5000 before are not read";
  publish(2000);
  sleep(1s);
  EXPECT_TRUE(*took);
  EXPECT_EQ(read(5000, 100), 100U);
  EXPECT_EQ(read(6999), 1U);
}

TEST_F(FeedTailTest, lets_a_slow_starter_wait_beside_one_who_is_behind) {
  publish(10);
  const auto behind = wait(10, 1h);
  sleep(1s);
  publish(5);
  const auto ahead = wait(15, 1h);  // it has read the five itself
  sleep(1s);
  EXPECT_TRUE(*behind);
  EXPECT_FALSE(*ahead);
  publish();
  sleep(1s);
  EXPECT_TRUE(*ahead);
}

TEST_F(FeedTailTest, goes_on_when_the_store_is_back) {
  const auto took = wait(0, 1h);
  store_.fails = true;
  publish();
  sleep(20s);
  EXPECT_FALSE(*took);
  EXPECT_LE(store_.asked, 24) << "about once a second";
  store_.fails = false;
  sleep(2s);
  EXPECT_TRUE(*took);
}

TEST_F(FeedTailTest, bounds_its_readers_and_lets_them_go_when_it_closes) {
  auto first = tail_.enter(false);
  const auto second = tail_.enter(true);
  const auto third = tail_.enter(true);
  EXPECT_TRUE(first && second && third);
  EXPECT_EQ(tail_.enter(false), nullptr);
  EXPECT_EQ(tail_.polls(), 1U);
  EXPECT_EQ(tail_.streams(), 2U);
  first.reset();
  EXPECT_NE(tail_.enter(false), nullptr);
  const auto took = wait(0, 1h);
  sleep(1s);
  tail_.close();
  sleep(1ms);
  EXPECT_TRUE(*took);
}

TEST(TailEntry, is_utf8_whatever_a_header_carried) {
  auto row = tests::bare_row({}, {});
  row.envelope.subject = "caf\xE9";
  const TailEntry entry({1, {}, row});
  EXPECT_NE(entry.record_json().find("caf\xEF\xBF\xBD\""), std::string::npos)
      << entry.record_json();
}

}  // namespace
}  // namespace daybook::api
