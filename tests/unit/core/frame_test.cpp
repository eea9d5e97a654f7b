#include "core/frame.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "core/limits.hpp"
#include "tests/contract/payloads.hpp"

namespace daybook::core {
namespace {

ByteVector compressible_bytes(std::size_t size) {
  ByteVector bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>("audit log line\n"[i % 15]);
  return bytes;
}

TEST(Frame, goes_there_and_back_for_every_kind_of_block) {
  const std::vector<ByteVector> blocks = {{std::byte{0}},
                                          compressible_bytes(limits::kBlockBytes),
                                          tests::random_bytes(limits::kBlockBytes, 1),
                                          ByteVector(limits::kBlockBytes),
                                          tests::random_bytes(limits::kBlockBytes - 1, 2),
                                          compressible_bytes(12'345)};
  for (const ByteVector& block : blocks) {
    for (const int level : {1, 3, 19}) {
      const ByteVector frame = compress_frame(block, level);
      const auto back = decompress_frame(frame, block.size());
      ASSERT_TRUE(back) << back.error().detail;
      EXPECT_TRUE(*back == block);
    }
  }
}

TEST(Frame, is_small_where_the_block_repeats_itself_and_hardly_larger_where_not) {
  EXPECT_LT(compress_frame(compressible_bytes(limits::kBlockBytes), 1).size(), 2'000);
  EXPECT_LT(compress_frame(tests::random_bytes(limits::kBlockBytes, 3), 1).size(),
            limits::kBlockBytes + 1'000);
}

TEST(Frame, calls_every_changed_byte_damaged) {
  for (const ByteVector& block : {compressible_bytes(5'000), tests::random_bytes(3'000, 4)}) {
    const ByteVector frame = compress_frame(block, 1);
    for (std::size_t at = 0; at < frame.size(); ++at) {
      for (const std::byte flip : {std::byte{0x01}, std::byte{0x80}, std::byte{0xFF}}) {
        ByteVector damaged = frame;
        damaged[at] ^= flip;
        const auto back = decompress_frame(damaged, block.size());
        ASSERT_FALSE(back) << "byte " << at << " of " << frame.size();
        EXPECT_EQ(back.error().code, Code::damaged);
        EXPECT_EQ(back.error().retry, Retry::never);
      }
    }
  }
}

TEST(Frame, calls_missing_and_added_bytes_damaged) {
  const ByteVector block = compressible_bytes(5'000);
  const ByteVector frame = compress_frame(block, 1);
  for (std::size_t size = 0; size < frame.size(); ++size) {
    const auto back = decompress_frame(Bytes(frame).first(size), block.size());
    ASSERT_FALSE(back) << "the first " << size << " bytes were taken for the frame";
    EXPECT_EQ(back.error().code, Code::damaged);
  }
  ByteVector longer = frame;
  longer.push_back(std::byte{7});
  EXPECT_FALSE(decompress_frame(longer, block.size()));
}

TEST(Frame, calls_another_size_damaged) {
  const ByteVector frame = compress_frame(compressible_bytes(5'000), 1);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4'999},
                                 std::size_t{5'001}, limits::kBlockBytes}) {
    const auto back = decompress_frame(frame, size);
    ASSERT_FALSE(back) << size;
    EXPECT_EQ(back.error().code, Code::damaged);
  }
}

TEST(ConcurrencyFrame, works_on_every_thread_at_once) {
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (std::uint64_t i = 0; i < 20; ++i) {
        const ByteVector block = tests::random_bytes(10'000 + 100 * t, t * 100 + i);
        const auto back = decompress_frame(compress_frame(block, 1), block.size());
        EXPECT_TRUE(back && *back == block);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace daybook::core
