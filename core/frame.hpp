// One block of payload <-> one zstd frame. Contexts belong to the calling thread, not to the
// connection: with 32 connections that moved 1.4 to 4 times the bytes of a context each (caches).
#pragma once

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

// Level 1 and a content checksum. The result is exactly as large as the frame. Any thread.
[[nodiscard]] ByteVector compress_frame(Bytes block, int level);

// The frame must decompress to exactly `size` bytes; anything else is Code::damaged. Any thread.
[[nodiscard]] Result<ByteVector> decompress_frame(Bytes frame, std::size_t size);

}  // namespace daybook::core
