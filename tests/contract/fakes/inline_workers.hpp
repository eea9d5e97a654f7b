// InlineWorkers: runs a job at once in the caller's thread. Nothing interleaves that does not have
// to.
#pragma once

#include "core/ports/workers.hpp"

namespace daybook::tests {

class InlineWorkers final : public core::Workers {
 public:
  core::Task<> run(std::function<void()> job) override {
    job();
    co_return;
  }
};

}  // namespace daybook::tests
