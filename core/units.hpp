// The words for bytes and time that every other header uses.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace daybook::core {

inline constexpr std::uint64_t KiB = 1024;
inline constexpr std::uint64_t MiB = 1024 * KiB;
inline constexpr std::uint64_t GiB = 1024 * MiB;

using Bytes = std::span<const std::byte>;  // bytes somebody else owns
using MutableBytes = std::span<std::byte>;
using ByteVector = std::vector<std::byte>;  // bytes we own

// Slices of one message, in order, for gathered writes.
using Slices = std::vector<Bytes>;

using Duration = std::chrono::steady_clock::duration;
using SteadyTime = std::chrono::steady_clock::time_point;
using Deadline = SteadyTime;  // a wait ends here, with Code::timeout
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;  // UTC

[[nodiscard]] inline Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
[[nodiscard]] inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline std::uint64_t total_bytes(const Slices& slices) {
  std::uint64_t total = 0;
  for (Bytes slice : slices) total += slice.size();
  return total;
}

}  // namespace daybook::core
