// Time and processor time of a measure.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <sys/resource.h>

namespace daybook::bench::roofline {

using Clock = std::chrono::steady_clock;

[[nodiscard]] inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Processor seconds of this process, user and system, all threads.
[[nodiscard]] inline double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

[[nodiscard]] inline double megabytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}
[[nodiscard]] inline double per_gigabyte(double seconds, std::uint64_t bytes) {
  return bytes == 0 ? 0 : seconds / (static_cast<double>(bytes) / 1e9);
}

struct Rate {
  std::uint64_t bytes = 0;
  double seconds = 0;
  double cpu = 0;  // seconds of the whole process

  [[nodiscard]] double mb_per_s() const { return seconds > 0 ? megabytes(bytes) / seconds : 0; }
  [[nodiscard]] double cpu_per_gb() const { return per_gigabyte(cpu, bytes); }
};

// Calls step(thread, turn), which returns the bytes it moved, on `threads` threads for so many
// seconds; each thread's first call (turn 0) comes before the clock starts and is not counted.
template <class Step>
[[nodiscard]] Rate measure(std::size_t threads, double seconds, const Step& step) {
  std::vector<std::uint64_t> bytes(threads);
  std::atomic<std::size_t> warm{0};
  std::atomic<bool> go{false};
  Clock::time_point begin;
  const auto work = [&](std::size_t thread) {
    static_cast<void>(step(thread, std::uint64_t{0}));
    ++warm;
    go.wait(false);
    std::uint64_t moved = 0;
    for (std::uint64_t turn = 1; moved == 0 || seconds_since(begin) < seconds; ++turn) {
      moved += step(thread, turn);
    }
    bytes[thread] = moved;
  };
  std::vector<std::thread> pool;
  pool.reserve(threads);
  for (std::size_t thread = 0; thread < threads; ++thread) pool.emplace_back(work, thread);
  while (warm < threads) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double cpu_before = cpu_seconds();
  begin = Clock::now();
  go = true;
  go.notify_all();
  for (std::thread& thread : pool) thread.join();
  Rate rate{0, seconds_since(begin), cpu_seconds() - cpu_before};
  for (const std::uint64_t each : bytes) rate.bytes += each;
  return rate;
}

}  // namespace daybook::bench::roofline
