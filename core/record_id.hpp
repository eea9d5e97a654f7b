// RecordId: a UUIDv7 (RFC 9562 section 5.7) that we make.
//
//   0                   48   52           64 66         76                128
//   | unix time, ms      | 7 | sequence   |10| partition | random           |
//
// - Monotonic per generator, also when the clock steps back: time never decreases, and within one
//   millisecond the 12-bit sequence counts up and then borrows the next millisecond.
// - The 10 bits after the variant name the record's partition, so that an id alone tells where its
//   buffer entry is.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/units.hpp"

namespace daybook::core {

class RecordId {
 public:
  constexpr RecordId() = default;
  explicit constexpr RecordId(std::array<std::uint8_t, 16> bytes) : bytes_(bytes) {}

  // The canonical 36-character form, either case. Anything else is nullopt.
  [[nodiscard]] static std::optional<RecordId> parse(std::string_view text);
  [[nodiscard]] std::string str() const;
  [[nodiscard]] std::uint32_t partition() const;  // meaningful for ids of ours only
  [[nodiscard]] std::uint64_t unix_ms() const;
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  friend auto operator<=>(const RecordId&, const RecordId&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

struct RecordIdHash {
  std::size_t operator()(const RecordId& id) const;
};

// Thread-safe.
class RecordIdGenerator {
 public:
  // now: wall time. partition < kPartitionsMax.
  [[nodiscard]] RecordId next(WallTime now, std::uint32_t partition);

 private:
  std::mutex mutex_;
  std::uint64_t last_ms_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace daybook::core
