// Runs tasks side by side, a few at a time, and waits for all of them. I/O thread only.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/ports/runtime.hpp"
#include "core/task.hpp"

namespace daybook::storage {

// The results stand in the order of the tasks. at_once is at least 1.
template <class T>
core::Task<std::vector<T>> side_by_side(core::Runtime& runtime, std::vector<core::Task<T>> tasks,
                                        std::size_t at_once) {
  struct State {
    std::vector<core::Task<T>> tasks;
    std::vector<std::optional<T>> results;
    std::size_t next = 0;
    std::size_t running = 0;
    std::unique_ptr<core::Signal> ended;
  };
  const auto state = std::make_shared<State>();
  state->tasks = std::move(tasks);
  state->results.resize(state->tasks.size());
  state->running = std::min(at_once, state->tasks.size());
  state->ended = runtime.make_signal();
  const std::size_t lanes = state->running;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    runtime.spawn([](std::shared_ptr<State> shared) -> core::Task<> {
      while (shared->next < shared->tasks.size()) {
        const std::size_t mine = shared->next++;
        shared->results[mine].emplace(co_await std::move(shared->tasks[mine]));
      }
      if (--shared->running == 0) shared->ended->notify_all();
    }(state));
  }
  while (state->running != 0) {
    co_await state->ended->wait(runtime.steady_now() + std::chrono::seconds(60));
  }
  std::vector<T> results;
  results.reserve(state->results.size());
  for (std::optional<T>& result : state->results) results.push_back(std::move(*result));
  co_return results;
}

}  // namespace daybook::storage
