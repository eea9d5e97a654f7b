// IoRuntime: one thread that owns every socket, timer and task; Boost.Asio on io_uring (or epoll,
// where the build says so) underneath. The rest of the program sees only this header and
// stream.hpp.
//
// Life: construct, spawn, run(), which returns when every task has ended. Tasks reach services by
// reference, so a program that cannot wait for them leaves by std::_Exit, never by destruction.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "core/ports/runtime.hpp"
#include "core/result.hpp"

namespace daybook::io {

// "io_uring" or "epoll": the compiled-in backend.
[[nodiscard]] std::string_view backend_name();

// Whether the kernel lets this process use the backend; the error names the cause (seccomp, sysctl,
// an old kernel) and the mend. Call it before an IoRuntime is made: Asio itself would throw.
[[nodiscard]] core::Result<void> probe_backend();

class IoRuntime final : public core::Runtime {
 public:
  IoRuntime();
  ~IoRuntime() override;

  [[nodiscard]] core::WallTime now() override;
  [[nodiscard]] core::SteadyTime steady_now() override;
  core::Task<> sleep_until(core::SteadyTime when) override;
  // I/O thread, or before run(). A task that ends by an exception is our bug and ends the process.
  void spawn(core::Task<> task) override;
  [[nodiscard]] std::unique_ptr<core::Signal> make_signal() override;

  void run();
  // Called on the I/O thread at SIGTERM or SIGINT; the second signal has its usual, deadly effect.
  void on_terminate(std::function<void()> handler);

  [[nodiscard]] boost::asio::io_context& context() { return context_; }

 private:
  struct Signals;
  boost::asio::io_context context_;
  std::unique_ptr<Signals> signals_;
  std::size_t tasks_ = 0;
};

// For command-line tools: runs one task to its end on a runtime of its own.
template <class T>
T run_to_completion(std::function<core::Task<T>(IoRuntime&)> make) {
  IoRuntime runtime;
  std::optional<T> result;
  runtime.spawn([](auto start, IoRuntime& owner, std::optional<T>& out) -> core::Task<> {
    out.emplace(co_await start(owner));
  }(std::move(make), runtime, result));
  runtime.run();
  return std::move(*result);
}

}  // namespace daybook::io
