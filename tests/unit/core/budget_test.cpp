// Budget: first come, first served; never more than there is.
#include "core/budget.hpp"

#include <random>

#include <gtest/gtest.h>

#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using core::Budget;
using Share = std::optional<Budget::Share>;

Share acquire(VirtualRuntime& runtime, Budget& budget, std::uint64_t amount,
              core::Duration patience = 1h) {
  return runtime.run(budget.acquire(amount, runtime.steady_now() + patience));
}

// Holds its share for a while, and notes in which order the shares were granted.
core::Task<> customer(VirtualRuntime& runtime, Budget& budget, std::uint64_t amount,
                      core::Duration patience, core::Duration hold, int name,
                      std::vector<int>& order) {
  const auto share = co_await budget.acquire(amount, runtime.steady_now() + patience);
  order.push_back(share ? name : -name);
  if (share) co_await runtime.sleep(hold);
}

void run_all(VirtualRuntime& runtime) {
  runtime.run_until([&runtime] { return runtime.tasks() == 0; });
}

TEST(Budget, grants_at_once_what_fits_and_takes_it_back) {
  VirtualRuntime runtime;
  Budget budget(runtime, 100);
  {
    const Share a = acquire(runtime, budget, 60);
    const Share b = acquire(runtime, budget, 40);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(budget.used(), 100u);
    EXPECT_EQ(runtime.elapsed(), 0s);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(Budget, refuses_at_once_what_can_never_fit) {
  VirtualRuntime runtime;
  Budget budget(runtime, 100);
  EXPECT_FALSE(acquire(runtime, budget, 101));
  EXPECT_EQ(runtime.elapsed(), 0s);
  EXPECT_TRUE(acquire(runtime, budget, 100));
}

TEST(Budget, gives_up_at_the_deadline_and_not_before) {
  VirtualRuntime runtime;
  Budget budget(runtime, 100);
  const Share all = acquire(runtime, budget, 100);
  EXPECT_FALSE(acquire(runtime, budget, 1, 5s));
  EXPECT_EQ(runtime.elapsed(), 5s);
  EXPECT_EQ(budget.used(), 100u);
}

TEST(Budget, serves_in_the_order_of_coming) {
  VirtualRuntime runtime;
  Budget budget(runtime, 10);
  std::vector<int> order;
  for (int name = 1; name <= 20; ++name) {
    runtime.spawn(
        customer(runtime, budget, 1 + static_cast<std::uint64_t>(name) % 10, 1h, 1s, name, order));
  }
  run_all(runtime);
  std::vector<int> expected(20);
  for (int i = 0; i < 20; ++i) expected[static_cast<std::size_t>(i)] = i + 1;
  EXPECT_EQ(order, expected);
}

TEST(Budget, a_stream_of_small_requests_does_not_starve_a_large_one) {
  VirtualRuntime runtime;
  Budget budget(runtime, 10);
  std::vector<int> order;
  runtime.spawn(customer(runtime, budget, 5, 1h, 10s, 1, order));
  runtime.run_for(1s);
  runtime.spawn(customer(runtime, budget, 10, 1h, 1s, 99, order));
  for (int i = 0; i < 50; ++i) {
    runtime.spawn(customer(runtime, budget, 1, 1h, 10s, 2, order));  // would fit beside the first
    runtime.run_for(1s);
  }
  ASSERT_GE(order.size(), 2u);
  EXPECT_EQ(order[1], 99);
  run_all(runtime);
}

TEST(Budget, one_who_gives_up_does_not_hold_up_those_behind_him) {
  VirtualRuntime runtime;
  Budget budget(runtime, 10);
  std::vector<int> order;
  runtime.spawn(customer(runtime, budget, 5, 1h, 100s, 1, order));
  runtime.run_for(1s);
  runtime.spawn(customer(runtime, budget, 10, 2s, 1s, 2, order));
  runtime.spawn(customer(runtime, budget, 5, 1h, 1s, 3, order));
  runtime.run_for(10s);
  EXPECT_EQ(order, (std::vector{1, -2, 3}));
  run_all(runtime);
}

TEST(Budget, a_share_moves_shrinks_and_grows_within_the_total) {
  VirtualRuntime runtime;
  Budget budget(runtime, 100);
  Share share = acquire(runtime, budget, 50);
  ASSERT_TRUE(share);
  Budget::Share moved = std::move(*share);
  EXPECT_EQ(moved.amount(), 50u);
  EXPECT_EQ(share->amount(), 0u);
  share.reset();
  EXPECT_EQ(budget.used(), 50u);
  EXPECT_TRUE(moved.try_grow_to(100));
  EXPECT_FALSE(moved.try_grow_to(101));
  EXPECT_EQ(budget.used(), 100u);
  moved.shrink_to(30);
  EXPECT_EQ(budget.used(), 30u);
  moved.shrink_to(40);  // a larger amount is no shrinking
  EXPECT_EQ(moved.amount(), 30u);
  EXPECT_TRUE(moved.try_grow_to(10));  // has it already
  EXPECT_EQ(moved.amount(), 30u);
  moved = Budget::Share();
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_FALSE(Budget::Share().try_grow_to(1)) << "of no budget";
}

TEST(Budget, shrinking_serves_who_waits) {
  VirtualRuntime runtime;
  Budget budget(runtime, 10);
  std::vector<int> order;
  Share all = acquire(runtime, budget, 10);
  runtime.spawn(customer(runtime, budget, 4, 1h, 1s, 1, order));
  runtime.run_for(1s);
  EXPECT_TRUE(order.empty());
  all->shrink_to(6);
  runtime.run_for(1ms);
  EXPECT_EQ(order, std::vector{1});
  run_all(runtime);
}

core::Task<> random_customer(VirtualRuntime& runtime, Budget& budget, std::uint64_t seed,
                             std::uint64_t& in_use, std::size_t& served) {
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20; ++i) {
    co_await runtime.sleep(std::chrono::milliseconds(random() % 50));
    auto share = co_await budget.acquire(
        random() % 120, runtime.steady_now() + std::chrono::milliseconds(random() % 2000));
    if (!share) continue;
    ++served;
    in_use += share->amount();
    EXPECT_LE(in_use, budget.total());
    EXPECT_EQ(in_use, budget.used());
    co_await runtime.sleep(std::chrono::milliseconds(random() % 20));
    const std::uint64_t before = share->amount();
    if (share->try_grow_to(before + random() % 10)) in_use += share->amount() - before;
    EXPECT_LE(in_use, budget.total());
    co_await runtime.sleep(std::chrono::milliseconds(random() % 20));
    in_use -= share->amount();
  }
}

TEST(Budget, never_grants_more_than_there_is_whatever_happens) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    VirtualRuntime runtime;
    Budget budget(runtime, 100);
    std::uint64_t in_use = 0;
    std::size_t served = 0;
    for (std::uint64_t i = 0; i < 10; ++i) {
      runtime.spawn(random_customer(runtime, budget, seed * 100 + i, in_use, served));
    }
    run_all(runtime);
    EXPECT_EQ(budget.used(), 0u);
    EXPECT_GT(served, 50u);
  }
}

}  // namespace
}  // namespace daybook::tests
