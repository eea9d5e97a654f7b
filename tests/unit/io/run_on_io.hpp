// Runs tasks of a test on an IoRuntime, one after the other, until each has ended: timers and kept
// connections of services that live on do not hold it up.
#pragma once

#include <optional>
#include <utility>

#include "core/task.hpp"
#include "io/runtime.hpp"

namespace daybook::tests {

inline void run_on_io(io::IoRuntime& runtime, core::Task<> task) {
  bool ended = false;
  runtime.spawn([](core::Task<> inner, bool& flag) -> core::Task<> {
    co_await std::move(inner);
    flag = true;
  }(std::move(task), ended));
  runtime.context().restart();
  while (!ended) runtime.context().run_one();
}

template <class T>
T run_on_io(io::IoRuntime& runtime, core::Task<T> task) {
  std::optional<T> result;
  run_on_io(runtime, [](core::Task<T> inner, std::optional<T>& out) -> core::Task<> {
    out.emplace(co_await std::move(inner));
  }(std::move(task), result));
  return std::move(*result);
}

}  // namespace daybook::tests
