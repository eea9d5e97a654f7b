// SHA-256 compression (FIPS 180-4 section 6.2.2) of two messages side by side, with the SHA
// instructions of x86. One message leaves the SHA unit idle for half the time, because each round
// waits for the one before it; two fill it: 1.5 times the bytes of one message after the other.
#pragma once

#include <array>
#include <cstdint>

#include "core/units.hpp"

namespace daybook::core {

inline constexpr std::size_t kSha256BlockBytes = 64;

using Sha256State = std::array<std::uint32_t, 8>;  // H0 to H7

// Whether this processor can; asked once.
[[nodiscard]] bool can_hash_pairs();

// Takes in whole blocks: both messages have the same length, a multiple of kSha256BlockBytes.
// Only where can_hash_pairs().
void hash_pair(Sha256State& first, Bytes first_bytes, Sha256State& second, Bytes second_bytes);

}  // namespace daybook::core
