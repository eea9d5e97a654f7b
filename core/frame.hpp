// One block of payload <-> one zstd frame and its check. Contexts belong to the calling thread, not
// to the connection: with 32 connections that moved 1.4 to 4 times the bytes of a context each
// (caches).
#pragma once

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

// A zstd frame and, in a skippable frame of 16 bytes behind it, its check. The result is exactly as
// large as the two. Any thread.
[[nodiscard]] ByteVector compress_frame(Bytes block, int level);

// The frame must pass its check and decompress to exactly `size` bytes; anything else is
// Code::damaged. Any thread.
[[nodiscard]] Result<ByteVector> decompress_frame(Bytes frame, std::size_t size);

}  // namespace daybook::core
