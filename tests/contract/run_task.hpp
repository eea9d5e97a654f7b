// Runs tasks to their end in a test, on a plain Asio loop of their own and without io::IoRuntime.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/task.hpp"

namespace daybook::tests {

inline void run_to_end(core::Task<> task) {
  boost::asio::io_context context;
  std::exception_ptr thrown;
  boost::asio::co_spawn(context, std::move(task),
                        [&thrown](std::exception_ptr error) { thrown = error; });
  context.run();
  if (thrown) std::rethrow_exception(thrown);
}

// `out` must outlive the task.
template <class T>
core::Task<> keep_result(core::Task<T> task, std::optional<T>& out) {
  out.emplace(co_await std::move(task));
}

template <class T>
T run_task(core::Task<T> task) {
  std::optional<T> out;
  run_to_end(keep_result(std::move(task), out));
  return std::move(*out);
}

// Runs the tasks side by side on the caller's loop; results in the order of the tasks.
template <class T>
core::Task<std::vector<T>> gather(std::vector<core::Task<T>> tasks) {
  std::vector<T> results;
  if (tasks.empty()) co_return results;
  const auto executor = co_await boost::asio::this_coro::executor;
  std::vector<std::optional<T>> slots(tasks.size());
  std::size_t running = tasks.size();
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
      [&](auto handler) {
        auto resume = std::make_shared<decltype(handler)>(std::move(handler));
        for (std::size_t i = 0; i < tasks.size(); ++i) {
          boost::asio::co_spawn(executor, keep_result(std::move(tasks[i]), slots[i]),
                                [&running, executor, resume](const std::exception_ptr&) {
                                  if (--running != 0) return;
                                  boost::asio::post(executor, [resume] { std::move (*resume)(); });
                                });
        }
      },
      boost::asio::use_awaitable);
  for (std::optional<T>& slot : slots) results.push_back(std::move(slot.value()));
  co_return results;
}

}  // namespace daybook::tests
