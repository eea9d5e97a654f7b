// Block: 1 MiB of a body, and the pool blocks come from and go back to. Thread-safe: the I/O thread
// fills a block, a worker may drop the last handle.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/limits.hpp"
#include "core/units.hpp"

namespace daybook::core {

class BlockPool {
 public:
  // kept_max: free blocks that are kept for reuse; more are given back to the system.
  explicit BlockPool(std::size_t kept_max) : free_(std::make_shared<Free>(kept_max)) {}

  // Uninitialised memory of kBlockBytes; it may outlive the pool.
  [[nodiscard]] std::shared_ptr<std::byte> take();

 private:
  struct Free {
    explicit Free(std::size_t max) : kept_max(max) {}
    const std::size_t kept_max;
    std::mutex mutex;
    std::vector<std::unique_ptr<std::byte[]>> blocks;
  };
  std::shared_ptr<Free> free_;
};

}  // namespace daybook::core
