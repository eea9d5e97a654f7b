#include "bench/percentiles.hpp"

#include <random>

#include <gtest/gtest.h>

namespace daybook::bench {
namespace {

TEST(Percentiles, of_nothing_are_zero) {
  const Percentiles empty;
  EXPECT_EQ(empty.micros_at(0.99), 0U);
  EXPECT_EQ(empty.count(), 0U);
}

TEST(Percentiles, of_one_value_are_that_value) {
  for (const std::uint64_t micros : {0UL, 1UL, 2047UL, 2048UL, 4097UL, 123'456'789UL, 1UL << 50}) {
    Percentiles one;
    one.record_micros(micros);
    EXPECT_EQ(one.micros_at(0.5), std::min(micros, (std::uint64_t{1} << 40) - 1));
  }
}

TEST(Percentiles, never_flatter_and_keep_three_digits) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20'000; ++round) {
    const std::uint64_t micros = random() >> (24 + random() % 40);
    Percentiles two;
    two.record_micros(micros);
    two.record_micros((std::uint64_t{1} << 40) - 1);  // so that the maximum does not help
    const std::uint64_t median = two.micros_at(0.5);
    ASSERT_GE(median, micros);
    ASSERT_LE(median - micros, micros / 1000) << micros;
  }
}

TEST(Percentiles, of_a_uniform_set_are_where_they_should_be) {
  Percentiles thousand;
  for (int number = 1; number <= 1000; ++number) thousand.record(std::chrono::milliseconds(number));
  EXPECT_NEAR(thousand.milliseconds_at(0.50), 500, 0.5);
  EXPECT_NEAR(thousand.milliseconds_at(0.99), 990, 1);
  EXPECT_NEAR(thousand.milliseconds_at(0.999), 999, 1);
  EXPECT_EQ(thousand.max_milliseconds(), 1000);
}

}  // namespace
}  // namespace daybook::bench
