#include "core/block.hpp"

namespace daybook::core {

std::shared_ptr<std::byte> BlockPool::take() {
  std::unique_ptr<std::byte[]> block;
  {
    const std::lock_guard lock(free_->mutex);
    if (!free_->blocks.empty()) {
      block = std::move(free_->blocks.back());
      free_->blocks.pop_back();
    }
  }
  if (!block) block = std::make_unique_for_overwrite<std::byte[]>(limits::kBlockBytes);
  return {block.release(), [free = free_](std::byte* memory) {
            std::unique_ptr<std::byte[]> returned(memory);
            const std::lock_guard lock(free->mutex);
            if (free->blocks.size() < free->kept_max) free->blocks.push_back(std::move(returned));
          }};
}

}  // namespace daybook::core
