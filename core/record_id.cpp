#include "core/record_id.hpp"

#include <cstring>

#include <openssl/rand.h>

#include "core/check.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::core {

std::optional<RecordId> RecordId::parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) return std::nullopt;
    bytes[nibble / 2] = static_cast<std::uint8_t>((bytes[nibble / 2] << 4) | value);
    ++nibble;
  }
  return RecordId(bytes);
}

std::string RecordId::str() const {
  const std::string hex = to_hex(std::as_bytes(std::span(bytes_)));
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < hex.size(); ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) text.push_back('-');
    text.push_back(hex[i]);
  }
  return text;
}

std::uint32_t RecordId::partition() const {
  return (static_cast<std::uint32_t>(bytes_[8] & 0x3F) << 4) | (bytes_[9] >> 4);
}

std::uint64_t RecordId::unix_ms() const {
  std::uint64_t ms = 0;
  for (int i = 0; i < 6; ++i) ms = (ms << 8) | bytes_[i];
  return ms;
}

std::size_t RecordIdHash::operator()(const RecordId& id) const {
  std::uint64_t tail = 0;  // the random end is hash enough
  std::memcpy(&tail, id.bytes().data() + 8, sizeof tail);
  std::uint64_t head = 0;
  std::memcpy(&head, id.bytes().data(), sizeof head);
  return tail ^ (head * 0x9E3779B97F4A7C15ULL);
}

RecordId RecordIdGenerator::next(WallTime now, std::uint32_t partition) {
  CHECK(partition < limits::kPartitionsMax);
  const auto now_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  std::uint64_t ms = 0;
  std::uint32_t sequence = 0;
  {
    const std::lock_guard lock(mutex_);
    if (now_ms > last_ms_) {
      last_ms_ = now_ms;
      sequence_ = 0;
    } else if (++sequence_ > 0xFFF) {
      ++last_ms_;
      sequence_ = 0;
    }
    ms = last_ms_;
    sequence = sequence_;
  }
  std::array<std::uint8_t, 16> bytes{};
  CHECK(RAND_bytes(bytes.data() + 9, 7) == 1);
  for (int i = 0; i < 6; ++i) bytes[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  bytes[6] = static_cast<std::uint8_t>(0x70 | (sequence >> 8));
  bytes[7] = static_cast<std::uint8_t>(sequence);
  bytes[8] = static_cast<std::uint8_t>(0x80 | (partition >> 4));
  bytes[9] = static_cast<std::uint8_t>(((partition & 0xF) << 4) | (bytes[9] & 0xF));
  return RecordId(bytes);
}

}  // namespace daybook::core
