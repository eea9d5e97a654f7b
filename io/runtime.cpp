#include "io/runtime.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <list>

#include <sys/utsname.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/resolve.hpp"

#ifdef DAYBOOK_RUNTIME_IO_URING
#include <liburing.h>
#endif

namespace daybook::io {
namespace {

namespace asio = boost::asio;
constexpr auto kLater = asio::as_tuple(asio::use_awaitable);

// Each waiter sleeps on a timer of its own; a notification cancels them all.
class TimerSignal final : public core::Signal {
 public:
  explicit TimerSignal(asio::io_context& context) : context_(context) {}

  core::Task<bool> wait(core::Deadline deadline) override {
    asio::steady_timer timer(context_, deadline);
    const Registration registration(waiters_, &timer);
    const auto [error] = co_await timer.async_wait(kLater);
    co_return static_cast<bool>(error);  // aborted = notified
  }
  void notify_all() override {
    for (asio::steady_timer* waiter : waiters_) waiter->cancel();
  }

 private:
  using Waiters = std::list<asio::steady_timer*>;
  class Registration {
   public:
    Registration(Waiters& waiters, asio::steady_timer* timer)
        : waiters_(waiters), place_(waiters.insert(waiters.end(), timer)) {}
    ~Registration() { waiters_.erase(place_); }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;

   private:
    Waiters& waiters_;
    Waiters::iterator place_;
  };

  asio::io_context& context_;
  Waiters waiters_;
};

}  // namespace

std::string_view backend_name() {
#ifdef DAYBOOK_RUNTIME_IO_URING
  return "io_uring";
#else
  return "epoll";
#endif
}

core::Result<void> probe_backend() {
#ifdef DAYBOOK_RUNTIME_IO_URING
  io_uring ring{};
  const int outcome = io_uring_queue_init(8, &ring, 0);
  if (outcome == 0) {
    io_uring_queue_exit(&ring);
    return {};
  }
  std::string detail = std::string("io_uring_setup failed: ") + std::strerror(-outcome) + ". ";
  int disabled = 0;
  std::ifstream("/proc/sys/kernel/io_uring_disabled") >> disabled;
  if (outcome == -ENOSYS) {
    utsname kernel{};
    uname(&kernel);
    detail +=
        std::string("This kernel (") + kernel.release + ") has no io_uring, or a sandbox hides it";
  } else if (disabled > 0) {
    detail += "The sysctl kernel.io_uring_disabled is " + std::to_string(disabled) +
              "; allow it with: sysctl -w kernel.io_uring_disabled=0";
  } else if (outcome == -EPERM || outcome == -EACCES) {
    detail +=
        "A seccomp profile forbids it (Docker's default does); run with a profile that allows "
        "io_uring_setup, io_uring_enter and io_uring_register";
  } else if (outcome == -ENOMEM) {
    detail += "RLIMIT_MEMLOCK is too small; raise it with: ulimit -l unlimited";
  }
  detail += ", or build for epoll: cmake --preset epoll && cmake --build --preset epoll";
  return core::fail(core::Code::unavailable, core::Origin::self, core::Retry::never, detail);
#else
  return {};
#endif
}

struct IoRuntime::Signals {
  explicit Signals(asio::io_context& context) : set(context, SIGTERM, SIGINT) {}
  asio::signal_set set;
};

IoRuntime::IoRuntime() : context_(1) {}
IoRuntime::~IoRuntime() {
  forget_lookups(*this);
}

core::WallTime IoRuntime::now() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

core::SteadyTime IoRuntime::steady_now() {
  return std::chrono::steady_clock::now();
}

core::Task<> IoRuntime::sleep_until(core::SteadyTime when) {
  asio::steady_timer timer(context_, when);
  co_await timer.async_wait(kLater);
}

void IoRuntime::spawn(core::Task<> task) {
  ++tasks_;
  asio::co_spawn(context_, std::move(task), [this](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
    if (--tasks_ == 0) context_.stop();  // timers of idle connections may be left: nobody waits
  });
}

std::unique_ptr<core::Signal> IoRuntime::make_signal() {
  return std::make_unique<TimerSignal>(context_);
}

void IoRuntime::run() {
  context_.run();
}

void IoRuntime::on_terminate(std::function<void()> handler) {
  signals_ = std::make_unique<Signals>(context_);
  signals_->set.async_wait([this, handler = std::move(handler)](const auto& error, int) {
    if (error) return;
    signals_->set.clear();
    handler();
  });
}

}  // namespace daybook::io
