// VirtualRuntime: the runtime port on a clock of its own. Everything that can run runs; only when
// all wait does time jump, straight to the next one who waits for it. The same test therefore runs
// the same way every time, and an hour costs nothing. One thread; owned by the test, which has
// every task ended before it goes.
#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/ports/runtime.hpp"

namespace daybook::tests {

class VirtualRuntime final : public core::Runtime {
 public:
  // Ahead of the real clock, so that a fake which looks at that one never finds a deadline passed.
  VirtualRuntime() : began_(std::chrono::steady_clock::now() + std::chrono::hours(24)) {}

  [[nodiscard]] core::WallTime now() override {
    return core::WallTime(std::chrono::seconds(1'800'000'000)) +
           std::chrono::duration_cast<core::WallTime::duration>(elapsed_);
  }
  [[nodiscard]] core::SteadyTime steady_now() override { return began_ + elapsed_; }
  [[nodiscard]] core::Duration elapsed() const { return elapsed_; }

  core::Task<> sleep_until(core::SteadyTime when) override {
    static_cast<void>(co_await wait(when, nullptr));
  }

  void spawn(core::Task<> task) override {
    ++tasks_;
    boost::asio::co_spawn(context_, std::move(task), [this](const std::exception_ptr& failure) {
      --tasks_;
      if (failure) std::rethrow_exception(failure);
    });
  }
  [[nodiscard]] std::size_t tasks() const { return tasks_; }

  [[nodiscard]] std::unique_ptr<core::Signal> make_signal() override {
    return std::make_unique<VirtualSignal>(*this);
  }

  // Runs until the task has ended. Throws when nobody waits for time and it still has not: it
  // hangs.
  template <class T>
  T run(core::Task<T> task) {
    std::optional<T> result;
    run([](core::Task<T> inner, std::optional<T>& out) -> core::Task<> {
      out.emplace(co_await std::move(inner));
    }(std::move(task), result));
    return std::move(*result);
  }
  void run(core::Task<> task) {
    bool ended = false;
    spawn([](core::Task<> inner, bool& flag) -> core::Task<> {
      co_await std::move(inner);
      flag = true;
    }(std::move(task), ended));
    run_until([&ended] { return ended; });
  }
  void run_until(const std::function<bool()>& met,
                 core::Duration at_most = std::chrono::hours(24)) {
    const core::Duration end = elapsed_ + at_most;
    for (settle(); !met(); settle()) {
      if (waiters_.empty()) throw std::runtime_error("everybody waits and nothing will wake them");
      if (elapsed_ > end) throw std::runtime_error("the condition was not met in time");
      jump();
    }
  }
  // What happens within the next `duration`.
  void run_for(core::Duration duration) {
    const core::Duration end = elapsed_ + duration;
    for (settle(); !waiters_.empty() && waiters_.begin()->first <= began_ + end; settle()) jump();
    elapsed_ = end;
  }

 private:
  struct Waiter {
    std::function<void(bool)> resume;
    const void* signal = nullptr;
  };
  using Waiters = std::multimap<core::SteadyTime, Waiter>;

  class VirtualSignal final : public core::Signal {
   public:
    explicit VirtualSignal(VirtualRuntime& runtime) : runtime_(runtime) {}
    core::Task<bool> wait(core::Deadline deadline) override {
      co_return co_await runtime_.wait(deadline, this);
    }
    void notify_all() override { runtime_.notify(this); }

   private:
    VirtualRuntime& runtime_;
  };

  // True: the signal came; false: the time did.
  core::Task<bool> wait(core::SteadyTime until, const void* signal) {
    const bool notified =
        co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void(bool)>(
            [this, until, signal](auto handler) {
              auto resume = std::make_shared<decltype(handler)>(std::move(handler));
              auto& waiters = until == core::SteadyTime::max() ? endless_ : waiters_;
              waiters.emplace(until, Waiter{[this, resume](bool outcome) {
                                              boost::asio::post(context_, [resume, outcome] {
                                                std::move (*resume)(outcome);
                                              });
                                            },
                                            signal});
            },
            boost::asio::use_awaitable);
    co_return notified;
  }

  void notify(const void* signal) {
    for (Waiters* waiters : {&waiters_, &endless_}) {
      for (auto at = waiters->begin(); at != waiters->end();) {
        if (at->second.signal != signal) {
          ++at;
          continue;
        }
        at->second.resume(true);
        at = waiters->erase(at);
      }
    }
  }

  void settle() {
    context_.restart();
    context_.poll();
  }

  void jump() {
    const auto next = waiters_.begin();
    elapsed_ = std::max(elapsed_, next->first - began_);
    const auto resume = std::move(next->second.resume);
    waiters_.erase(next);
    resume(false);
  }

  const core::SteadyTime began_;
  core::Duration elapsed_{};
  std::size_t tasks_ = 0;
  boost::asio::io_context context_;
  Waiters waiters_;
  Waiters endless_;
};

}  // namespace daybook::tests
