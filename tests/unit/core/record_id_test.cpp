#include "core/record_id.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <thread>
#include <unordered_set>

#include <gtest/gtest.h>

#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::core {
namespace {

WallTime at_ms(std::int64_t ms) {
  return WallTime(std::chrono::milliseconds(ms));
}
constexpr std::int64_t kNow = 1'795'233'906'123;

TEST(RecordId, is_a_uuid_of_version_7_and_the_rfc_variant) {
  RecordIdGenerator generator;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = generator.next(at_ms(kNow + i / 3), 1023).str();
    ASSERT_EQ(text.size(), 36);
    EXPECT_EQ(text[8], '-');
    EXPECT_EQ(text[13], '-');
    EXPECT_EQ(text[18], '-');
    EXPECT_EQ(text[23], '-');
    EXPECT_EQ(text[14], '7');
    EXPECT_NE(std::string("89ab").find(text[19]), std::string::npos) << text;
  }
}

TEST(RecordId, carries_the_time_in_milliseconds) {
  RecordIdGenerator generator;
  EXPECT_EQ(generator.next(WallTime(std::chrono::microseconds(kNow * 1000 + 999)), 0).unix_ms(),
            kNow);
  const auto example = RecordId::parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F");  // RFC 9562 A.6
  ASSERT_TRUE(example);
  EXPECT_EQ(example->unix_ms(), 0x017F22E279B0ULL);
  EXPECT_EQ(format_time(at_ms(static_cast<std::int64_t>(example->unix_ms()))),
            "2022-02-22T19:22:22.000000Z");
}

TEST(RecordId, gives_back_every_partition) {
  RecordIdGenerator generator;
  for (std::uint32_t partition = 0; partition < limits::kPartitionsMax; ++partition) {
    const RecordId id = generator.next(at_ms(kNow), partition);
    ASSERT_EQ(id.partition(), partition);
    ASSERT_EQ(RecordId::parse(id.str())->partition(), partition);
  }
}

TEST(RecordId, parses_what_it_prints_in_either_case) {
  RecordIdGenerator generator;
  for (int i = 0; i < 100; ++i) {
    const RecordId id = generator.next(at_ms(kNow), 7);
    std::string text = id.str();
    EXPECT_EQ(RecordId::parse(text), id);
    EXPECT_EQ(text, to_lower(text));
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_EQ(RecordId::parse(text), id);
  }
}

TEST(RecordId, refuses_what_is_no_uuid) {
  const std::string good = "0190a5f0-1234-7abc-8def-0123456789ab";
  ASSERT_TRUE(RecordId::parse(good));
  for (const std::string& bad :
       {std::string(), std::string("x"), good.substr(1), good + "0", good + " ", " " + good,
        "{" + good + "}", "urn:uuid:" + good, std::string("0190a5f012347abc8def0123456789ab"),
        std::string("0190a5f0-1234-7abc-8def-0123456789ag"),
        std::string("0190a5f0_1234_7abc_8def_0123456789ab"),
        std::string("0190a5f01-234-7abc-8def-0123456789ab"),
        std::string("0190a5f0-1234-7abc-8def--123456789ab"),
        std::string("0190a5f0-1234-7abc-8def-0123456789a\0", 36)}) {
    EXPECT_FALSE(RecordId::parse(bad)) << bad;
  }
}

TEST(RecordId, sorts_as_its_text_does) {
  RecordIdGenerator generator;
  const RecordId first = generator.next(at_ms(kNow), 1000);
  const RecordId second = generator.next(at_ms(kNow + 1), 0);
  EXPECT_LT(first, second);
  EXPECT_LT(first.str(), second.str());
}

TEST(RecordIdGenerator, makes_100000_ids_that_are_unique_and_in_order) {
  RecordIdGenerator generator;
  std::unordered_set<RecordId, RecordIdHash> seen;
  RecordId last;
  for (int i = 0; i < 100'000; ++i) {
    // Everything happens in 10 ms: more than twice as many as a millisecond has numbers.
    const RecordId id =
        generator.next(at_ms(kNow + i / 10'000), static_cast<std::uint32_t>(i % 16));
    ASSERT_LT(last, id) << "number " << i;
    ASSERT_TRUE(seen.insert(id).second);
    last = id;
  }
}

TEST(RecordIdGenerator, goes_on_when_the_clock_steps_back) {
  RecordIdGenerator generator;
  RecordId last = generator.next(at_ms(kNow), 0);
  for (int i = 0; i < 10'000; ++i) {
    const RecordId id = generator.next(at_ms(kNow - 3'600'000 + i), 0);
    ASSERT_LT(last, id);
    last = id;
  }
  EXPECT_LE(last.unix_ms(), kNow + 3) << "it borrows a millisecond per 4096 ids, not more";
  EXPECT_EQ(generator.next(at_ms(kNow + 1000), 0).unix_ms(), kNow + 1000);
}

TEST(RecordIdGenerator, gives_two_generators_different_ids_in_the_same_millisecond) {
  RecordIdGenerator one;
  RecordIdGenerator two;
  std::set<RecordId> seen;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(seen.insert(one.next(at_ms(kNow), 3)).second);
    EXPECT_TRUE(seen.insert(two.next(at_ms(kNow), 3)).second);
  }
}

TEST(ConcurrencyRecordIdGenerator, gives_every_thread_its_own_ids_in_order) {
  RecordIdGenerator generator;
  constexpr int kThreads = 4;
  constexpr int kIds = 5'000;
  std::vector<std::vector<RecordId>> made(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&generator, &ids = made[t]] {
      for (int i = 0; i < kIds; ++i) ids.push_back(generator.next(at_ms(kNow), 0));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<RecordId> all;
  for (const auto& ids : made) {
    EXPECT_TRUE(std::ranges::is_sorted(ids));
    all.insert(ids.begin(), ids.end());
  }
  EXPECT_EQ(all.size(), std::size_t{kThreads} * kIds);
}

}  // namespace
}  // namespace daybook::core
