// IoRuntime: time, tasks and signals on the real clock; what VirtualRuntime promises must hold
// here.
#include "io/runtime.hpp"

#include <csignal>

#include <gtest/gtest.h>

#include "tests/contract/payloads.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;

core::Task<> nap(io::IoRuntime& runtime, core::Duration duration, int name, std::vector<int>& log) {
  co_await runtime.sleep(duration);
  log.push_back(name);
}

core::Task<> wait_once(core::Signal& signal, core::Deadline deadline, std::vector<bool>& log) {
  log.push_back(co_await signal.wait(deadline));
}

TEST(IoRuntime, names_a_backend_that_works_here) {
  EXPECT_TRUE(io::backend_name() == "io_uring" || io::backend_name() == "epoll");
  const auto usable = io::probe_backend();
  EXPECT_TRUE(usable) << usable.error().detail;
}

TEST(IoRuntime, runs_until_the_last_task_has_ended) {
  io::IoRuntime runtime;
  std::vector<int> log;
  runtime.spawn(nap(runtime, 60ms, 3, log));
  runtime.spawn(nap(runtime, 5ms, 1, log));
  runtime.spawn(nap(runtime, 30ms, 2, log));
  runtime.run();
  EXPECT_EQ(log, (std::vector{1, 2, 3}));
}

TEST(IoRuntime, sleeps_as_long_as_it_was_told) {
  io::IoRuntime runtime;
  const auto before = runtime.steady_now();
  run_on_io(runtime, runtime.sleep(50ms));
  EXPECT_GE(runtime.steady_now() - before, 50ms);
  run_on_io(runtime, runtime.sleep_until(long_ago()));  // returns at once
  EXPECT_LT(runtime.steady_now() - before, 2s);
}

TEST(IoRuntime, tells_the_time_of_the_wall_in_utc) {
  io::IoRuntime runtime;
  const auto difference = runtime.now() - std::chrono::system_clock::now();
  EXPECT_LT(std::chrono::abs(difference), 2s);
}

TEST(Signal, wakes_everybody_who_waits_and_nobody_who_comes_later) {
  io::IoRuntime runtime;
  const auto signal = runtime.make_signal();
  std::vector<bool> log;
  for (int i = 0; i < 5; ++i) runtime.spawn(wait_once(*signal, soon(), log));
  run_on_io(runtime, runtime.sleep(10ms));
  EXPECT_TRUE(log.empty());
  signal->notify_all();
  run_on_io(runtime, runtime.sleep(10ms));
  EXPECT_EQ(log, std::vector<bool>(5, true));
  run_on_io(runtime, wait_once(*signal, within(20ms), log));
  EXPECT_FALSE(log.back());
}

TEST(Signal, a_deadline_passes_also_when_it_has_passed_before) {
  io::IoRuntime runtime;
  const auto signal = runtime.make_signal();
  std::vector<bool> log;
  run_on_io(runtime, wait_once(*signal, long_ago(), log));
  EXPECT_EQ(log, std::vector<bool>{false});
}

TEST(Signal, waits_for_ever_where_there_is_no_deadline) {
  io::IoRuntime runtime;
  const auto signal = runtime.make_signal();
  std::vector<bool> log;
  runtime.spawn(wait_once(*signal, core::SteadyTime::max(), log));
  run_on_io(runtime, runtime.sleep(50ms));
  EXPECT_TRUE(log.empty());
  signal->notify_all();
  run_on_io(runtime, runtime.sleep(10ms));
  EXPECT_EQ(log, std::vector<bool>{true});
}

TEST(IoRuntime, calls_the_handler_at_the_first_sigterm) {
  io::IoRuntime runtime;
  const auto signal = runtime.make_signal();
  int called = 0;
  runtime.on_terminate([&] {
    ++called;
    signal->notify_all();
  });
  std::vector<bool> log;
  runtime.spawn(wait_once(*signal, within(10s), log));
  run_on_io(runtime, runtime.sleep(5ms));
  ::raise(SIGTERM);
  run_on_io(runtime, runtime.sleep(50ms));
  EXPECT_EQ(called, 1);
  EXPECT_EQ(log, std::vector<bool>{true});
}

core::Task<int> answer(io::IoRuntime& runtime) {
  co_await runtime.sleep(1ms);
  co_return 42;
}

TEST(IoRuntime, runs_one_task_for_a_tool) {
  EXPECT_EQ(io::run_to_completion<int>(answer), 42);
}

}  // namespace
}  // namespace daybook::tests
