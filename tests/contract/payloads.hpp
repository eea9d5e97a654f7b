// Bytes for tests: the same for the same seed, and not compressible.
#pragma once

#include <cstdint>

#include "core/units.hpp"

namespace daybook::tests {

inline core::ByteVector random_bytes(std::size_t size, std::uint64_t seed) {
  core::ByteVector bytes(size);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (std::byte& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

inline core::Deadline within(std::chrono::milliseconds duration) {
  return std::chrono::steady_clock::now() + duration;
}
inline core::Deadline soon() {
  return within(std::chrono::seconds(60));
}
inline core::Deadline long_ago() {
  return within(std::chrono::seconds(-1));
}

}  // namespace daybook::tests
