#include "core/public_address.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include <arpa/inet.h>

namespace daybook::core {
namespace {

struct Block4 {
  std::uint32_t network;
  int bits;
};

constexpr std::uint32_t v4(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  return a << 24 | b << 16 | c << 8;
}

// IANA IPv4 Special-Purpose Address Registry, and multicast.
constexpr std::array kNotGlobal4 = {
    Block4{v4(0, 0, 0), 8},      Block4{v4(10, 0, 0), 8},     Block4{v4(100, 64, 0), 10},
    Block4{v4(127, 0, 0), 8},    Block4{v4(169, 254, 0), 16}, Block4{v4(172, 16, 0), 12},
    Block4{v4(192, 0, 0), 24},   Block4{v4(192, 0, 2), 24},   Block4{v4(192, 88, 99), 24},
    Block4{v4(192, 168, 0), 16}, Block4{v4(198, 18, 0), 15},  Block4{v4(198, 51, 100), 24},
    Block4{v4(203, 0, 113), 24}, Block4{v4(224, 0, 0), 4},    Block4{v4(240, 0, 0), 4},
};

using Bytes16 = std::array<std::uint8_t, 16>;

bool is_public_v4(std::span<const std::uint8_t, 4> bytes) {
  const std::uint32_t address = std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
                                std::uint32_t{bytes[2]} << 8 | bytes[3];
  return std::ranges::none_of(kNotGlobal4, [address](const Block4& block) {
    return (address ^ block.network) >> (32 - block.bits) == 0;
  });
}

template <std::size_t N>
bool begins(const Bytes16& address, const std::array<std::uint8_t, N>& prefix) {
  return std::equal(prefix.begin(), prefix.end(), address.begin());
}

// Global unicast is 2000::/3 (RFC 4291 section 2.4), less what the IANA IPv6 Special-Purpose
// Address Registry takes out of it.
bool is_public_v6(const Bytes16& address) {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<std::uint8_t, 12> kNat64 = {0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};
  const std::span bytes(address);
  if (begins(address, kMapped) || begins(address, kNat64)) {
    return is_public_v4(bytes.subspan<12, 4>());
  }
  if (begins(address, std::array<std::uint8_t, 2>{0x20, 0x02})) {  // 6to4
    return is_public_v4(bytes.subspan<2, 4>());
  }
  const bool protocol = begins(address, std::array<std::uint8_t, 2>{0x20, 0x01}) &&
                        address[2] < 0x02;  // 2001::/23: Teredo and others
  const bool documentation =
      begins(address, std::array<std::uint8_t, 4>{0x20, 0x01, 0x0d, 0xb8}) ||
      (begins(address, std::array<std::uint8_t, 2>{0x3f, 0xff}) && address[2] < 0x10);
  return (address[0] & 0xe0) == 0x20 && !protocol && !documentation;
}

}  // namespace

bool is_public_address(std::string_view address) {
  const std::string text(address.substr(0, address.find('%')));  // without an interface's name
  std::array<std::uint8_t, 4> bytes4{};
  if (::inet_pton(AF_INET, text.c_str(), bytes4.data()) == 1) return is_public_v4(bytes4);
  Bytes16 bytes16{};
  return ::inet_pton(AF_INET6, text.c_str(), bytes16.data()) == 1 && is_public_v6(bytes16);
}

}  // namespace daybook::core
