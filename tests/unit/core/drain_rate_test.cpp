// When to come back: the rate at which something drains, and the seconds made of it.
#include "core/drain_rate.hpp"

#include <set>

#include <gtest/gtest.h>

namespace daybook::core {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1000s};

TEST(DrainRate, of_nothing_is_nothing) {
  EXPECT_EQ(DrainRate().per_second(kStart), 0);
}

TEST(DrainRate, finds_a_steady_rate_early_and_late) {
  DrainRate rate(10s);
  SteadyTime now = kStart;
  for (int i = 0; i < 3000; ++i) {
    rate.add(5'000'000, now);
    if (i == 50 || i == 300 || i == 2999) {
      EXPECT_NEAR(rate.per_second(now), 50e6, 5e6) << i;
    }
    now += 100ms;
  }
}

TEST(DrainRate, follows_a_change_within_a_few_half_lives) {
  DrainRate rate(10s);
  SteadyTime now = kStart;
  for (int i = 0; i < 100; ++i) rate.add(100'000'000, now += 1s);
  for (int i = 0; i < 40; ++i) rate.add(1'000'000, now += 1s);
  EXPECT_LT(rate.per_second(now), 10e6);
  EXPECT_GT(rate.per_second(now), 1e6);
}

TEST(DrainRate, halves_in_each_half_life_of_silence) {
  DrainRate rate(10s);
  SteadyTime now = kStart;
  for (int i = 0; i < 200; ++i) rate.add(1'000'000, now += 1s);
  const double before = rate.per_second(now);
  EXPECT_NEAR(rate.per_second(now + 10s), before / 2, before / 100);
  EXPECT_NEAR(rate.per_second(now + 30s), before / 8, before / 100);
}

TEST(DrainRate, takes_a_clock_that_stands_still) {
  DrainRate rate(10s);
  rate.add(1'000'000, kStart);
  EXPECT_GT(rate.per_second(kStart), 0);
  EXPECT_LE(rate.per_second(kStart), 1'100'000);
}

TEST(RetryAfter, is_how_long_the_missing_bytes_need) {
  EXPECT_EQ(retry_after_drain_s(100'000'000, 10e6, 0), 10u);
  EXPECT_EQ(retry_after_drain_s(100'000'000, 20e6, 0), 5u);
  EXPECT_EQ(retry_after_drain_s(1, 10e6, 0), 1u) << "never less than a second";
  EXPECT_EQ(retry_after_drain_s(UINT64_MAX, 1e6, 0), 60u) << "never more than a minute";
  EXPECT_EQ(retry_after_drain_s(1, 0, 0), 60u) << "nothing drains";
  EXPECT_EQ(retry_after_drain_s(0, 0, 0), 1u) << "it would fit by now";
}

TEST(RetryAfter, of_an_outage_grows_with_it) {
  EXPECT_EQ(retry_after_outage_s(0s, 0), 1u);
  EXPECT_EQ(retry_after_outage_s(20s, 0), 10u);
  EXPECT_EQ(retry_after_outage_s(24h, 0), 60u);
}

TEST(RetryAfter, spreads_clients_by_up_to_a_quarter) {
  std::set<std::uint32_t> seen;
  for (std::uint64_t dice = 0; dice < 5000; ++dice) seen.insert(retry_after_s(40, dice));
  EXPECT_EQ(*seen.begin(), 40u);
  EXPECT_GE(*seen.rbegin(), 49u);
  EXPECT_LE(*seen.rbegin(), 50u);
  EXPECT_EQ(seen.size(), *seen.rbegin() - *seen.begin() + 1);
}

}  // namespace
}  // namespace daybook::core
