// WorkerPool: jobs run elsewhere, callers come back to the I/O thread. Run under ThreadSanitizer.
#include "io/worker_pool.hpp"

#include <atomic>
#include <set>

#include <gtest/gtest.h>

#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;

core::Task<bool> runs_elsewhere(io::WorkerPool& workers) {
  const auto here = std::this_thread::get_id();
  std::thread::id there;
  co_await workers.run([&there] { there = std::this_thread::get_id(); });
  co_return there != here&& there != std::thread::id() && std::this_thread::get_id() == here;
}

core::Task<std::uint64_t> count_up(io::WorkerPool& workers, std::uint64_t& shared) {
  std::uint64_t mine = 0;  // changed by workers, read here: the pool orders both
  for (int i = 0; i < 50; ++i) {
    co_await workers.run([&mine] { ++mine; });
    ++shared;  // I/O thread only
  }
  co_return mine;
}

core::Task<int> note_order(io::WorkerPool& workers, std::vector<int>& order, int name) {
  co_await workers.run([&order, name] { order.push_back(name); });
  co_return name;
}

TEST(ConcurrencyWorkerPool, runs_a_job_on_a_worker_and_resumes_here) {
  io::IoRuntime runtime;
  io::WorkerPool workers(runtime, 2, "pool-test");
  EXPECT_TRUE(run_on_io(runtime, runs_elsewhere(workers)));
}

TEST(ConcurrencyWorkerPool, many_callers_get_their_own_results) {
  io::IoRuntime runtime;
  io::WorkerPool workers(runtime, 4, "pool-test");
  std::uint64_t shared = 0;
  std::vector<core::Task<std::uint64_t>> tasks;
  for (int i = 0; i < 64; ++i) tasks.push_back(count_up(workers, shared));
  for (std::uint64_t mine : run_on_io(runtime, gather(std::move(tasks)))) EXPECT_EQ(mine, 50u);
  EXPECT_EQ(shared, 64u * 50u);
}

TEST(ConcurrencyWorkerPool, one_thread_takes_jobs_in_their_order) {
  io::IoRuntime runtime;
  io::WorkerPool workers(runtime, 1, "pool-test");
  std::vector<int> order;
  std::vector<core::Task<int>> tasks;
  for (int i = 0; i < 100; ++i) tasks.push_back(note_order(workers, order, i));
  const auto names = run_on_io(runtime, gather(std::move(tasks)));
  EXPECT_EQ(order, names);
}

TEST(ConcurrencyWorkerPool, uses_all_its_threads) {
  io::IoRuntime runtime;
  io::WorkerPool workers(runtime, 3, "pool-test");
  std::atomic<int> inside = 0;
  // Each job waits until three are inside; fewer threads would never get there.
  std::vector<core::Task<int>> tasks;
  for (int i = 0; i < 3; ++i) {
    tasks.push_back([](io::WorkerPool& pool, std::atomic<int>& count) -> core::Task<int> {
      co_await pool.run([&count] {
        ++count;
        for (int k = 0; k < 10'000 && count < 3; ++k) std::this_thread::sleep_for(1ms);
      });
      co_return count.load();
    }(workers, inside));
  }
  for (int seen : run_on_io(runtime, gather(std::move(tasks)))) EXPECT_EQ(seen, 3);
}

TEST(ConcurrencyWorkerPool, finishes_what_was_posted_before_it_goes) {
  io::IoRuntime runtime;
  std::atomic<int> done = 0;
  {
    io::WorkerPool workers(runtime, 2, "pool-test");
    for (int i = 0; i < 20; ++i) {
      runtime.spawn([](io::WorkerPool& pool, std::atomic<int>& count) -> core::Task<> {
        co_await pool.run([&count] {
          std::this_thread::sleep_for(1ms);
          ++count;
        });
      }(workers, done));
    }
    run_on_io(runtime, runtime.sleep(1ms));
  }
  EXPECT_EQ(done, 20);
  runtime.run();
}

}  // namespace
}  // namespace daybook::tests
