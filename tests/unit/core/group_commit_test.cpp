// GroupCommit: one commit at a time, batches that grow while it runs, one outcome for all of a
// batch.
#include "core/group_commit.hpp"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using core::Result;

// What was committed, one second a commit.
struct Ledger {
  VirtualRuntime runtime;
  std::vector<std::vector<int>> batches;
  std::size_t running = 0;
  std::size_t running_max = 0;
  std::function<Result<void>(const std::vector<int>&)> outcome;
  core::Duration takes = 1s;
  std::vector<std::pair<int, bool>> answered;

  core::Task<Result<void>> commit(std::vector<int> items) {
    running_max = std::max(running_max, ++running);
    if (takes != core::Duration{}) co_await runtime.sleep(takes);
    --running;
    batches.push_back(items);
    co_return outcome ? outcome(items) : Result<void>{};
  }
  core::Task<> submit(core::GroupCommit<int>& group, int item) {
    const auto done = co_await group.submit(item);
    answered.emplace_back(item, done.has_value());
  }
  core::GroupCommit<int> group(std::size_t batch_max) {
    return {runtime, batch_max,
            [this](std::vector<int> items) { return commit(std::move(items)); }};
  }
  void run_all() {
    runtime.run_until([this] { return runtime.tasks() == 0; });
  }
};

TEST(GroupCommit, whoever_comes_during_a_commit_is_in_the_next) {
  Ledger ledger;
  auto group = ledger.group(100);
  ledger.runtime.spawn(ledger.submit(group, 1));
  ledger.runtime.run_for(100ms);
  for (int item = 2; item <= 9; ++item) ledger.runtime.spawn(ledger.submit(group, item));
  ledger.run_all();
  EXPECT_EQ(ledger.batches, (std::vector<std::vector<int>>{{1}, {2, 3, 4, 5, 6, 7, 8, 9}}));
  EXPECT_EQ(ledger.runtime.elapsed(), 2s);
  EXPECT_EQ(ledger.answered.size(), 9u);
}

TEST(GroupCommit, starts_together_with_all_of_the_same_moment_where_that_is_asked_for) {
  Ledger ledger;
  core::GroupCommit<int> group(
      ledger.runtime, 10, [&ledger](std::vector<int> items) { return ledger.commit(items); },
      core::GroupCommit<int>::Start::together);
  for (int item = 1; item <= 3; ++item) ledger.runtime.spawn(ledger.submit(group, item));
  ledger.runtime.run_until([&] { return ledger.answered.size() == 3; });
  EXPECT_EQ(ledger.batches, (std::vector<std::vector<int>>{{1, 2, 3}}));
}

TEST(GroupCommit, a_batch_is_no_larger_than_its_bound) {
  Ledger ledger;
  auto group = ledger.group(3);
  for (int item = 0; item < 20; ++item) ledger.runtime.spawn(ledger.submit(group, item));
  ledger.run_all();
  int next = 0;
  for (const auto& batch : ledger.batches) {
    EXPECT_LE(batch.size(), 3u);
    for (int item : batch) EXPECT_EQ(item, next++);
  }
  EXPECT_EQ(next, 20);
  EXPECT_EQ(ledger.answered.size(), 20u);
}

TEST(GroupCommit, commits_one_batch_at_a_time) {
  Ledger ledger;
  auto group = ledger.group(2);
  for (int item = 0; item < 50; ++item) {
    ledger.runtime.spawn(ledger.submit(group, item));
    ledger.runtime.run_for(50ms);
  }
  ledger.run_all();
  EXPECT_EQ(ledger.running_max, 1u);
  EXPECT_EQ(ledger.answered.size(), 50u);
}

TEST(GroupCommit, an_error_reaches_every_member_of_its_batch_and_nobody_else) {
  Ledger ledger;
  auto group = ledger.group(4);
  ledger.outcome = [](const std::vector<int>& items) -> Result<void> {
    if (std::ranges::find(items, 5) == items.end()) return {};
    return core::fail(core::Code::unavailable, core::Origin::metadata, core::Retry::safe, "no");
  };
  // The first finds nobody else and goes alone; then 1 to 4, 5 to 8, 9 to 11.
  for (int item = 0; item < 12; ++item) ledger.runtime.spawn(ledger.submit(group, item));
  ledger.run_all();
  ASSERT_EQ(ledger.answered.size(), 12u);
  for (const auto& [item, good] : ledger.answered) EXPECT_EQ(good, item < 5 || item > 8) << item;
}

TEST(GroupCommit, nobody_is_answered_before_his_batch_is_committed) {
  Ledger ledger;
  auto group = ledger.group(100);
  ledger.runtime.spawn(ledger.submit(group, 1));
  ledger.runtime.run_for(500ms);
  ledger.runtime.spawn(ledger.submit(group, 2));
  ledger.runtime.run_for(600ms);
  EXPECT_EQ(ledger.answered, (std::vector<std::pair<int, bool>>{{1, true}}));
  ledger.run_all();
}

TEST(GroupCommit, a_commit_longer_than_a_minute_is_waited_for) {
  Ledger ledger;
  ledger.takes = 200s;
  auto group = ledger.group(100);
  for (int item = 0; item < 3; ++item) ledger.runtime.spawn(ledger.submit(group, item));
  ledger.run_all();
  EXPECT_EQ(ledger.answered.size(), 3u);
  EXPECT_LE(ledger.batches.size(), 2u);
}

TEST(GroupCommit, a_commit_that_does_not_wait_works_as_well) {
  Ledger ledger;
  ledger.takes = 0s;
  auto group = ledger.group(2);
  for (int item = 0; item < 7; ++item) ledger.runtime.spawn(ledger.submit(group, item));
  ledger.run_all();
  EXPECT_EQ(ledger.answered.size(), 7u);
}

}  // namespace
}  // namespace daybook::tests
