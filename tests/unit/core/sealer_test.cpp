// PayloadSealer: what comes out must be what went in, for every size around a block's edge, on
// one thread and on many.
#include "core/sealer.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/frame.hpp"
#include "core/limits.hpp"
#include "io/runtime.hpp"
#include "io/worker_pool.hpp"
#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {
namespace {

using core::limits::kBlockBytes;
using Sealed = core::PayloadSealer::Sealed;

core::HashLines lines;  // one for all uploads, as in the server

// Feeds the payload in reads of at most `step` bytes, as a socket would.
core::Task<Sealed> seal(core::Runtime& runtime, core::Workers& workers, core::BlockPool& blocks,
                        int level, core::Bytes payload, std::size_t step) {
  core::PayloadSealer sealer(runtime, workers, blocks, lines, level);
  while (!payload.empty()) {
    co_await sealer.make_room();
    const core::MutableBytes room = sealer.room();
    EXPECT_FALSE(room.empty());
    const std::size_t bytes = std::min({room.size(), payload.size(), step});
    std::ranges::copy(payload.first(bytes), room.begin());
    sealer.filled(bytes);
    payload = payload.subspan(bytes);
  }
  co_return co_await sealer.finish();
}

void expect_sealed(const Sealed& sealed, core::Bytes payload) {
  EXPECT_EQ(sealed.size, payload.size());
  EXPECT_EQ(sealed.sha256, core::sha256(payload));
  ASSERT_EQ(sealed.frames.size(), (payload.size() + kBlockBytes - 1) / kBlockBytes);
  for (std::size_t i = 0; i < sealed.frames.size(); ++i) {
    const core::Bytes block =
        payload.subspan(i * kBlockBytes, std::min(kBlockBytes, payload.size() - i * kBlockBytes));
    const auto opened = core::decompress_frame(sealed.frames[i], block.size());
    ASSERT_TRUE(opened) << "frame " << i;
    EXPECT_TRUE(std::ranges::equal(*opened, block)) << "frame " << i;
  }
}

class SealerSizes : public ::testing::TestWithParam<std::size_t> {};

TEST_P(SealerSizes, digest_and_frames_are_those_of_the_payload) {
  VirtualRuntime runtime;
  InlineWorkers workers;
  core::BlockPool blocks(4);
  const core::ByteVector payload = random_bytes(GetParam(), 42);
  for (const std::size_t step : {std::size_t{262'144}, std::size_t{99'991}, std::size_t{4} << 20}) {
    expect_sealed(runtime.run(seal(runtime, workers, blocks, 1, payload, step)), payload);
  }
}
TEST_P(SealerSizes, level_zero_gives_the_digest_only) {
  VirtualRuntime runtime;
  InlineWorkers workers;
  core::BlockPool blocks(4);
  const core::ByteVector payload = random_bytes(GetParam(), 43);
  const Sealed sealed = runtime.run(seal(runtime, workers, blocks, 0, payload, 262'144));
  EXPECT_EQ(sealed.sha256, core::sha256(payload));
  for (const core::ByteVector& frame : sealed.frames) EXPECT_TRUE(frame.empty());
}
INSTANTIATE_TEST_SUITE_P(Sealer, SealerSizes,
                         ::testing::Values(0, 1, kBlockBytes - 1, kBlockBytes, kBlockBytes + 1,
                                           8 * kBlockBytes));

// Holds every job until it is told to go.
class HeldWorkers final : public core::Workers {
 public:
  explicit HeldWorkers(core::Runtime& runtime) : changed_(runtime.make_signal()) {}
  core::Task<> run(std::function<void()> job) override {
    ++waiting;
    while (!go) co_await changed_->wait(core::SteadyTime::max());
    --waiting;
    job();
  }
  void release() {
    go = true;
    changed_->notify_all();
  }
  std::size_t waiting = 0;
  bool go = false;

 private:
  std::unique_ptr<core::Signal> changed_;
};

core::Task<> seal_into(core::Task<Sealed> task, std::optional<Sealed>& out) {
  out.emplace(co_await std::move(task));
}

TEST(Sealer, pauses_the_reader_while_too_many_blocks_wait_for_workers) {
  VirtualRuntime runtime;
  HeldWorkers workers(runtime);
  core::BlockPool blocks(4);
  const core::ByteVector payload = random_bytes(8 * kBlockBytes, 1);
  std::optional<Sealed> sealed;
  runtime.spawn(seal_into(seal(runtime, workers, blocks, 1, payload, kBlockBytes), sealed));
  runtime.run_for(std::chrono::seconds(1));
  EXPECT_EQ(workers.waiting, core::limits::kBlocksInFlight);
  workers.release();
  runtime.run_until([&] { return sealed.has_value(); });
  expect_sealed(*sealed, payload);
}

core::Task<> feed_and_leave(core::Runtime& runtime, core::Workers& workers,
                            core::BlockPool& blocks) {
  core::PayloadSealer sealer(runtime, workers, blocks, lines, 1);
  for (int i = 0; i < 3; ++i) {
    std::ranges::fill(sealer.room(), std::byte{7});
    sealer.filled(kBlockBytes);
    co_await sealer.make_room();
  }
}

TEST(Sealer, may_be_left_while_its_blocks_are_worked_on) {
  VirtualRuntime runtime;
  HeldWorkers workers(runtime);
  core::BlockPool blocks(4);
  runtime.run(feed_and_leave(runtime, workers, blocks));
  EXPECT_EQ(workers.waiting, 3u);
  workers.release();
  runtime.run_until([&] { return runtime.tasks() == 0; });
}

// --- on real threads; run under ThreadSanitizer ---

TEST(ConcurrencySealer, thirty_two_uploads_on_four_threads_come_out_right) {
  io::IoRuntime runtime;
  io::WorkerPool workers(runtime, 4, "sealer-test");
  core::BlockPool blocks(8);
  std::vector<core::ByteVector> payloads;
  std::vector<core::Task<Sealed>> tasks;
  for (std::size_t i = 0; i < 32; ++i) {
    payloads.push_back(random_bytes((i % 5) * kBlockBytes + i * 1000, i));
    tasks.push_back(seal(runtime, workers, blocks, 1, payloads.back(), 262'144));
  }
  const auto sealed = run_on_io(runtime, gather(std::move(tasks)));
  for (std::size_t i = 0; i < sealed.size(); ++i) expect_sealed(sealed[i], payloads[i]);
}

TEST(ConcurrencySealer, uploads_left_in_the_middle_hurt_nobody) {
  io::IoRuntime runtime;
  {
    io::WorkerPool workers(runtime, 4, "sealer-test");
    auto blocks = std::make_unique<core::BlockPool>(2);
    for (int i = 0; i < 32; ++i) run_on_io(runtime, feed_and_leave(runtime, workers, *blocks));
    blocks.reset();  // blocks outlive their pool
    runtime.run();   // until the last job has come back
  }
}

}  // namespace
}  // namespace daybook::tests
