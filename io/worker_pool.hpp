// WorkerPool: a fixed set of threads behind the Workers port, first in, first out.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/ports/workers.hpp"
#include "io/runtime.hpp"

namespace daybook::io {

class WorkerPool final : public core::Workers {
 public:
  // name: shown by ps -L and in core dumps, at most 15 characters.
  WorkerPool(IoRuntime& runtime, std::size_t threads, const std::string& name);
  ~WorkerPool() override;  // finishes what was posted, then joins

  core::Task<> run(std::function<void()> job) override;

 private:
  void work();

  IoRuntime& runtime_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace daybook::io
