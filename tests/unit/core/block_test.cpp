// BlockPool: blocks come back, no more than allowed are kept, and a block outlives its pool.
#include "core/block.hpp"

#include <cstring>
#include <set>
#include <thread>

#include <gtest/gtest.h>

namespace daybook::core {
namespace {

TEST(BlockPool, gives_blocks_of_full_size_that_differ) {
  BlockPool pool(4);
  std::vector<std::shared_ptr<std::byte>> blocks;
  std::set<std::byte*> places;
  for (int i = 0; i < 8; ++i) {
    blocks.push_back(pool.take());
    std::memset(blocks.back().get(), i, limits::kBlockBytes);
    places.insert(blocks.back().get());
  }
  EXPECT_EQ(places.size(), 8u);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(blocks[static_cast<std::size_t>(i)].get()[limits::kBlockBytes - 1], std::byte(i));
  }
}

TEST(BlockPool, uses_a_returned_block_again) {
  BlockPool pool(2);
  std::byte* const place = pool.take().get();
  EXPECT_EQ(pool.take().get(), place);
}

TEST(BlockPool, keeps_none_where_none_may_be_kept) {
  BlockPool pool(0);
  for (int i = 0; i < 3; ++i) EXPECT_NE(pool.take(), nullptr);
}

TEST(BlockPool, a_block_outlives_its_pool) {
  std::shared_ptr<std::byte> block;
  {
    BlockPool pool(4);
    block = pool.take();
  }
  std::memset(block.get(), 1, limits::kBlockBytes);
}

TEST(ConcurrencyBlockPool, threads_never_share_a_block) {
  BlockPool pool(4);
  std::vector<std::thread> threads;
  for (int t = 1; t <= 4; ++t) {
    threads.emplace_back([&pool, t] {
      for (int i = 0; i < 500; ++i) {
        const auto block = pool.take();
        *block = std::byte(t);
        std::this_thread::yield();
        EXPECT_EQ(*block, std::byte(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace daybook::core
