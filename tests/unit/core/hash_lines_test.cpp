#include "core/hash_lines.hpp"

#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "core/sha256_pair.hpp"
#include "core/text.hpp"
#include "tests/contract/payloads.hpp"

namespace daybook::core {
namespace {

TEST(Sha256Pair, gives_both_digests_for_every_pair_of_lengths) {
  if (!can_hash_pairs()) GTEST_SKIP() << "this processor has no SHA instructions";
  const ByteVector bytes = tests::random_bytes(5'000, 7);
  const std::size_t lengths[] = {0, 1, 55, 56, 63, 64, 65, 127, 128, 1'000, 4'096, 4'999};
  for (const std::size_t one : lengths) {
    for (const std::size_t two : lengths) {
      const Bytes first = Bytes(bytes).first(one);
      const Bytes second = Bytes(bytes).last(two);
      Sha256Hasher a;
      Sha256Hasher b;
      Sha256Hasher::update_pair(a, first, b, second);
      EXPECT_EQ(a.finish(), sha256(first)) << one << " beside " << two;
      EXPECT_EQ(b.finish(), sha256(second)) << two << " beside " << one;
    }
  }
}

TEST(Sha256Pair, goes_on_where_an_update_ended_and_lets_an_update_go_on) {
  const ByteVector bytes = tests::random_bytes(10'000, 8);
  for (const std::size_t before : {std::size_t{0}, std::size_t{64}, std::size_t{100}}) {
    Sha256Hasher a;
    Sha256Hasher b;
    const Bytes all(bytes);
    a.update(all.first(before));
    Sha256Hasher::update_pair(a, all.subspan(before, 6'400), b, all.first(6'400));
    Sha256Hasher::update_pair(a, all.subspan(before + 6'400), b, all.subspan(6'400));
    EXPECT_EQ(a.finish(), sha256(all)) << before;
    EXPECT_EQ(b.finish(), sha256(all)) << before;
  }
}

// FIPS 180-4's message of a million 'a', and one whose bit count needs both words of the counter.
TEST(Sha256Pair, knows_the_published_answer_and_counts_past_4_GiB_of_bits) {
  const ByteVector piece(1'000'000, std::byte{'a'});
  Sha256Hasher a;
  Sha256Hasher b;
  Sha256Hasher::update_pair(a, piece, b, piece);
  EXPECT_EQ(a.finish().hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  Sha256Hasher alone;
  Sha256Hasher paired;
  Sha256Hasher other;
  b = Sha256Hasher();
  for (int i = 0; i < 540; ++i) {  // 540 MB are more than 2^32 bits
    alone.update(piece);
    Sha256Hasher::update_pair(paired, piece, other, piece);
  }
  EXPECT_EQ(paired.finish(), alone.finish());
}

TEST(ConcurrencyHashLines, hash_each_message_in_order_on_many_threads) {
  constexpr std::size_t kMessages = 6;
  constexpr std::size_t kBlocks = 40;
  HashLines lines;
  std::vector<ByteVector> messages;
  std::vector<std::shared_ptr<HashLines::Line>> open;
  struct Job {
    std::size_t message;
    std::uint64_t ticket;
  };
  std::vector<Job> jobs;
  std::mt19937 random(3);
  for (std::size_t m = 0; m < kMessages; ++m) {
    messages.push_back(tests::random_bytes(kBlocks * 640 + m, m));
    open.push_back(lines.open());
  }
  for (std::size_t b = 0; b < kBlocks; ++b) {
    for (std::size_t m = 0; m < kMessages; ++m) {
      const std::size_t length = b + 1 < kBlocks ? 640 : 640 + m;
      jobs.push_back({m, lines.push(open[m], Bytes(messages[m]).subspan(b * 640, length))});
    }
  }
  std::shuffle(jobs.begin(), jobs.end(), random);
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < jobs.size(); i = next++) {
        lines.advance(open[jobs[i].message], jobs[i].ticket);
        lines.finish(open[jobs[i].message], jobs[i].ticket);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t m = 0; m < kMessages; ++m) {
    EXPECT_EQ(open[m]->digest(), sha256(messages[m])) << "message " << m;
  }
}

}  // namespace
}  // namespace daybook::core
