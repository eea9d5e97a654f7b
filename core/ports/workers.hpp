// Port: a bounded set of threads for work that would hold up the I/O thread (hashing, compressing,
// blocking files, SQLite).
#pragma once

#include <functional>

#include "core/task.hpp"

namespace daybook::core {

class Workers {
 public:
  virtual ~Workers() = default;
  // Runs job on a worker and resumes the caller on the I/O thread. job must not throw.
  virtual Task<> run(std::function<void()> job) = 0;
};

}  // namespace daybook::core
