#include "storage/s3_checksums.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace daybook::storage {
namespace {

constexpr std::string_view kSha256Field = "x-amz-checksum-sha256";
constexpr std::string_view kCrc32Field = "x-amz-checksum-crc32";

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 1) != 0 ? (value >> 1) ^ 0xEDB88320u : value >> 1;
    }
    table[i] = value;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

std::string_view unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"')) {
    return etag.substr(1, etag.size() - 2);
  }
  return etag;
}

// Nothing where the field is missing or is a checksum of the parts' checksums.
std::optional<std::string_view> whole_checksum(const core::http::Fields& answer,
                                               std::string_view name) {
  const auto value = answer.find(name);
  if (!value || value->find('-') != std::string_view::npos) return std::nullopt;
  return value;
}

}  // namespace

bool names_bytes(const core::http::Fields& answer, std::string_view etag,
                 const core::Sha256& sha256) {
  if (const auto stated = whole_checksum(answer, kSha256Field)) {
    return *stated == core::to_base64(sha256.bytes);
  }
  const auto stated = answer.find("etag");
  return stated && core::equals_ignoring_case(unquoted(*stated), etag);
}

bool confirms(const core::http::Fields& answer, core::Bytes md5, const core::Sha256& sha256) {
  return names_bytes(answer, core::to_hex(md5), sha256);
}

bool states_checksum(const core::http::Fields& answer) {
  return whole_checksum(answer, kSha256Field) || whole_checksum(answer, kCrc32Field);
}

std::string contradiction(const core::http::Fields& answer, core::Bytes body) {
  if (const auto stated = whole_checksum(answer, kSha256Field)) {
    if (*stated != core::to_base64(core::sha256(body).bytes)) return std::string(kSha256Field);
  }
  if (const auto stated = whole_checksum(answer, kCrc32Field)) {
    const std::uint32_t sum = crc32(body);
    const std::array<std::byte, 4> big_endian = {
        static_cast<std::byte>(sum >> 24), static_cast<std::byte>(sum >> 16),
        static_cast<std::byte>(sum >> 8), static_cast<std::byte>(sum)};
    if (*stated != core::to_base64(big_endian)) return std::string(kCrc32Field);
  }
  return "";
}

std::uint32_t crc32(core::Bytes bytes) {
  std::uint32_t sum = 0xFFFFFFFFu;
  for (const std::byte byte : bytes) {
    sum = (sum >> 8) ^ kCrcTable[(sum ^ static_cast<std::uint32_t>(byte)) & 0xFFu];
  }
  return ~sum;
}

}  // namespace daybook::storage
