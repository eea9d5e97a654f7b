// RetryPolicy: the waits between attempts.
#include "core/retry.hpp"

#include <gtest/gtest.h>

namespace daybook::core {
namespace {

using namespace std::chrono_literals;

TEST(RetryPolicy, doubles_up_to_the_longest_wait) {
  const RetryPolicy policy{.attempts_max = 10, .first = 2s, .longest = 60s};
  const std::vector<Duration> full = {2s, 4s, 8s, 16s, 32s, 60s, 60s};
  for (std::uint32_t attempt = 1; attempt <= full.size(); ++attempt) {
    EXPECT_EQ(policy.wait_after(attempt, 0.0), full[attempt - 1] / 2) << attempt;
    EXPECT_EQ(policy.wait_after(attempt, 1.0), full[attempt - 1]) << attempt;
    const Duration middle = policy.wait_after(attempt, 0.5);
    EXPECT_NEAR(static_cast<double>(middle.count()),
                static_cast<double>(full[attempt - 1].count()) * 0.75, 10.0);
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

}  // namespace
}  // namespace daybook::core
