// The waits between attempts, the budget of retries, and the gate in front of a target that
// refuses.
#include "core/retry.hpp"

#include <gtest/gtest.h>

namespace daybook::core {
namespace {

using namespace std::chrono_literals;

TEST(RetryPolicy, doubles_up_to_the_longest_wait) {
  const RetryPolicy policy{.attempts_max = 10, .first = 2s, .longest = 60s};
  const std::vector<Duration> full = {2s, 4s, 8s, 16s, 32s, 60s, 60s};
  for (std::uint32_t attempt = 1; attempt <= full.size(); ++attempt) {
    EXPECT_EQ(policy.wait_after(attempt, 0.0), 0s) << attempt;
    EXPECT_EQ(policy.wait_after(attempt, 1.0), full[attempt - 1]) << attempt;
    const Duration middle = policy.wait_after(attempt, 0.5);
    EXPECT_NEAR(static_cast<double>(middle.count()),
                static_cast<double>(full[attempt - 1].count()) * 0.5, 10.0);
  }
}

TEST(RetryPolicy, never_waits_longer_than_the_longest_even_at_once) {
  const RetryPolicy policy{.attempts_max = 3, .first = 90s, .longest = 60s};
  EXPECT_EQ(policy.wait_after(1, 1.0), 60s);
}

TEST(RetryPolicy, does_not_overflow_after_very_many_attempts) {
  const RetryPolicy policy{.attempts_max = 0, .first = 1s, .longest = 24h};
  EXPECT_EQ(policy.wait_after(4'000'000'000U, 1.0), 24h);
}

const SteadyTime kBegin = SteadyTime(1h);

const Error kDenied{Code::denied, Origin::object_store, Retry::never, "wrong key"};
const Error kAway{Code::unavailable, Origin::object_store, Retry::safe, "away"};

// Retries that go within `seconds`, each as soon as it may, and each failing.
int failing_retries(RetryBudget& budget, SteadyTime from, int seconds) {
  int count = 0;
  for (SteadyTime now = from; now < from + std::chrono::seconds(seconds);) {
    const Duration wait = budget.wait(now);
    if (wait != Duration{}) {
      now += wait;
      continue;
    }
    budget.take(now);
    ++count;
  }
  return count;
}

TEST(RetryBudget, gives_what_it_holds_and_then_one_a_second) {
  RetryBudget budget({.tokens_max = 10});
  EXPECT_EQ(failing_retries(budget, kBegin, 1), 10);
  EXPECT_EQ(failing_retries(budget, kBegin + 1s, 60), 60);
}

TEST(RetryBudget, retries_that_fail_are_a_share_of_the_successes) {
  RetryBudget budget({.tokens_max = 10, .per_success = 0.1, .per_second = 0.001});
  EXPECT_EQ(failing_retries(budget, kBegin, 1), 10);
  for (int i = 0; i < 55; ++i) budget.succeeded(false);
  EXPECT_EQ(failing_retries(budget, kBegin + 1s, 1), 5);
}

TEST(RetryBudget, a_retry_that_succeeds_costs_nothing) {
  RetryBudget budget({.tokens_max = 3, .per_success = 0, .per_second = 0.001});
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(budget.wait(kBegin), 0s) << i;
    budget.take(kBegin);
    budget.succeeded(true);
  }
}

TEST(RetryBudget, holds_no_more_than_its_size) {
  RetryBudget budget({.tokens_max = 5});
  for (int i = 0; i < 1000; ++i) budget.succeeded(false);
  EXPECT_EQ(budget.wait(kBegin), 0s);
  EXPECT_EQ(failing_retries(budget, kBegin + 10h, 1), 5);
}

TEST(TargetGate, one_refusal_closes_it_for_all_and_one_success_opens_it) {
  TargetGate gate(1min);
  EXPECT_EQ(gate.wait(kBegin, false), 0s);
  gate.begin(kBegin, false);
  gate.failed(kBegin, kDenied, 0.5);
  EXPECT_TRUE(gate.closed());
  EXPECT_GE(gate.wait(kBegin, false), 1s);
  const SteadyTime later = kBegin + gate.wait(kBegin, false);
  EXPECT_EQ(gate.wait(later, false), 0s);
  gate.begin(later, true);
  EXPECT_GT(gate.wait(later, false), 0s) << "one at a time";
  gate.succeeded(true);
  EXPECT_EQ(gate.wait(later, false), 0s);
  EXPECT_FALSE(gate.closed());
}

TEST(TargetGate, tries_at_most_once_a_second_and_ever_more_rarely) {
  for (const double random : {0.0, 0.5, 1.0}) {
    TargetGate gate(1min);
    SteadyTime now = kBegin;
    std::vector<SteadyTime> tries;
    while (now < kBegin + 10min) {
      const Duration wait = gate.wait(now, false);
      if (wait != Duration{}) {
        now += wait;
        continue;
      }
      tries.push_back(now);
      gate.begin(now, false);
      gate.failed(now, kDenied, random);
    }
    for (std::size_t i = 1; i < tries.size(); ++i) EXPECT_GE(tries[i] - tries[i - 1], 1s);
    EXPECT_GE(tries.size(), 10u) << random;
    if (random == 1.0) {
      EXPECT_EQ(tries.back() - tries[tries.size() - 2], 1min);
      EXPECT_LE(tries.size(), 16u);
    }
  }
}

TEST(TargetGate, those_refused_together_count_as_one) {
  TargetGate together(1min);
  TargetGate alone(1min);
  for (int i = 0; i < 8; ++i) together.begin(kBegin, false);
  for (int i = 0; i < 8; ++i) together.failed(kBegin + 10ms, kDenied, 1.0);
  alone.begin(kBegin, false);
  alone.failed(kBegin + 10ms, kDenied, 1.0);
  EXPECT_EQ(together.wait(kBegin + 10ms, false), alone.wait(kBegin + 10ms, false));
}

TEST(TargetGate, a_records_own_failure_neither_closes_nor_opens_it) {
  TargetGate gate(1min);
  gate.begin(kBegin, false);
  gate.failed(kBegin, kAway, 0.5);
  EXPECT_FALSE(gate.closed());
  gate.begin(kBegin, false);
  gate.failed(kBegin, kDenied, 0.0);
  const SteadyTime later = kBegin + 1s;
  ASSERT_EQ(gate.wait(later, false), 0s);
  gate.begin(later, false);
  gate.failed(later, kAway, 0.0);
  EXPECT_TRUE(gate.closed());
  EXPECT_EQ(gate.wait(later, false), 1s);
}

}  // namespace
}  // namespace daybook::core
