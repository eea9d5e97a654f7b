// Block: 1 MiB of a body, and the pool blocks come from and go back to. Two blocks share one 2 MiB
// huge page: hashing and compressing a working set of many blocks is bound by the TLB otherwise
// (SHA-256 over 64 MiB of blocks: 1.17 GB/s on 4 KiB pages, 1.48 GB/s on huge ones). Thread-safe:
// the I/O thread fills a block, a worker may drop the last handle.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/limits.hpp"
#include "core/units.hpp"

namespace daybook::core {

class BlockPool {
 public:
  // kept_max: free blocks that are kept for reuse; beyond it whole pages go back to the system.
  explicit BlockPool(std::size_t kept_max) : free_(std::make_shared<Free>(kept_max)) {}

  // Uninitialised memory of kBlockBytes; it may outlive the pool.
  [[nodiscard]] std::shared_ptr<std::byte> take();

 private:
  // The last block handed back is the next one taken: it is the one still in the caches.
  struct Free {
    explicit Free(std::size_t max) : kept_max(max) {}
    ~Free();
    Free(const Free&) = delete;
    Free& operator=(const Free&) = delete;
    void give_back(std::byte* block);

    const std::size_t kept_max;
    std::mutex mutex;
    std::vector<std::byte*> blocks;
  };
  std::shared_ptr<Free> free_;
};

}  // namespace daybook::core
