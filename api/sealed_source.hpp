// SealedSource: a payload that was sealed, read once more. It keeps nothing but one block; the
// sealed payload must outlive it. I/O thread only.
#pragma once

#include "api/record_source.hpp"
#include "core/ports/workers.hpp"
#include "core/sealer.hpp"

namespace daybook::api {

class SealedSource {
 public:
  SealedSource(core::Workers& workers, const core::PayloadSealer::Sealed& sealed)
      : workers_(workers), sealed_(sealed) {}

  // The next block of the payload, valid until the next call; empty = that was all.
  core::Task<core::Result<core::Bytes>> next_block();
  [[nodiscard]] bool at_end() const { return next_ == sealed_.frames.size(); }

 private:
  core::Workers& workers_;
  const core::PayloadSealer::Sealed& sealed_;
  std::size_t next_ = 0;
  core::ByteVector block_;
};

}  // namespace daybook::api
