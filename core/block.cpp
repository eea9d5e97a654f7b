#include "core/block.hpp"

#include <algorithm>
#include <cstdlib>

#include <sys/mman.h>

#include "core/check.hpp"

namespace daybook::core {
namespace {

constexpr std::size_t kPageBytes = 2 * MiB;
static_assert(kPageBytes == 2 * limits::kBlockBytes);

std::byte* page_of(std::byte* block) {
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  return block - (address % kPageBytes);
}

std::byte* new_page() {
  auto* page = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kPageBytes));
  CHECK(page != nullptr);
  ::madvise(page, kPageBytes, MADV_HUGEPAGE);  // where it is refused, small pages do as well
  return page;
}

}  // namespace

BlockPool::Free::~Free() {
  // Every handle holds the list, so all blocks are here: the lower half of each page frees it.
  for (std::byte* block : blocks) {
    if (block == page_of(block)) std::free(block);
  }
}

void BlockPool::Free::give_back(std::byte* block) {
  const std::lock_guard lock(mutex);
  std::byte* const page = page_of(block);
  std::byte* const sibling = block == page ? block + limits::kBlockBytes : page;
  const auto place = blocks.size() < kept_max ? blocks.end() : std::ranges::find(blocks, sibling);
  if (place == blocks.end()) {
    blocks.push_back(block);
  } else {
    blocks.erase(place);
    std::free(page);
  }
}

std::shared_ptr<std::byte> BlockPool::take() {
  std::byte* block = nullptr;
  {
    const std::lock_guard lock(free_->mutex);
    if (free_->blocks.empty()) {
      block = new_page();
      free_->blocks.push_back(block + limits::kBlockBytes);
    } else {
      block = free_->blocks.back();
      free_->blocks.pop_back();
    }
  }
  return {block, [free = free_](std::byte* memory) { free->give_back(memory); }};
}

}  // namespace daybook::core
