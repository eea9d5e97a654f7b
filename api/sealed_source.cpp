#include "api/sealed_source.hpp"

#include <algorithm>

#include "core/frame.hpp"
#include "core/limits.hpp"

namespace daybook::api {

core::Task<core::Result<core::Bytes>> SealedSource::next_block() {
  if (at_end()) co_return core::Bytes{};
  const std::uint64_t before = next_ * core::limits::kBlockBytes;
  const std::size_t size =
      std::min<std::uint64_t>(core::limits::kBlockBytes, sealed_.size - before);
  core::Result<core::ByteVector> block;
  co_await workers_.run([&] { block = core::decompress_frame(sealed_.frames[next_], size); });
  if (!block) co_return pass(std::move(block));
  ++next_;
  block_ = *std::move(block);
  co_return core::Bytes(block_);
}

}  // namespace daybook::api
