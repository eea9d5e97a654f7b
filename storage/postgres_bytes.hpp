// PostgreSQL's binary forms of numbers, times and ids (network byte order). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/record_id.hpp"
#include "core/units.hpp"

namespace daybook::storage {

// int8: 8 bytes, most significant first.
[[nodiscard]] inline std::string to_network(std::int64_t number) {
  std::string bytes(8, '\0');
  auto rest = static_cast<std::uint64_t>(number);
  for (std::size_t i = 8; i-- > 0; rest >>= 8) bytes[i] = static_cast<char>(rest & 0xFF);
  return bytes;
}

// int2, int4 or int8, by the length.
[[nodiscard]] inline std::int64_t from_network(std::string_view bytes) {
  if (bytes.empty()) return 0;
  std::uint64_t number = (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0 ? ~0ULL : 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(number);
}

// timestamptz: microseconds since 2000-01-01 UTC.
inline constexpr core::WallTime kPostgresEpoch =
    std::chrono::sys_days(std::chrono::year(2000) / 1 / 1);
[[nodiscard]] inline std::string time_bytes(core::WallTime time) {
  return to_network((time - kPostgresEpoch).count());
}
[[nodiscard]] inline core::WallTime time_of(std::string_view bytes) {
  return kPostgresEpoch + std::chrono::microseconds(from_network(bytes));
}

// uuid: its 16 bytes.
[[nodiscard]] inline std::string id_bytes(const core::RecordId& id) {
  return {reinterpret_cast<const char*>(id.bytes().data()), id.bytes().size()};
}

// uuid[]: dimensions, NULLs, type of the elements, length, first index; each with its own length.
[[nodiscard]] inline std::string id_array_bytes(const std::vector<core::RecordId>& ids,
                                                std::uint32_t uuid_type) {
  const auto int4 = [](std::size_t number) {
    return to_network(static_cast<std::int64_t>(number)).substr(4);
  };
  std::string bytes = int4(1) + int4(0) + int4(uuid_type) + int4(ids.size()) + int4(1);
  for (const core::RecordId& id : ids) bytes += int4(16) + id_bytes(id);
  return bytes;
}

}  // namespace daybook::storage
