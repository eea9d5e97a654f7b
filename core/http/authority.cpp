#include "core/http/authority.hpp"

#include <cstdint>

#include "core/http/char_class.hpp"
#include "core/text.hpp"

namespace daybook::core::http {
namespace {

constexpr std::size_t kNameBytesMax = 255;  // the longest name DNS can hold

bool is_registered_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || name.front() == '.') return false;
  if (name.contains("..")) return false;
  for (const char c : name) {
    if (!is_in(c, kNameByte)) return false;
  }
  return true;
}

// Four decimal numbers up to 255 without leading zeros.
bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    const std::string_view number = text.substr(0, text.find('.'));
    if (number.empty() || number.size() > 3 || (number.size() > 1 && number[0] == '0'))
      return false;
    unsigned value = 0;
    for (const char c : number) {
      if (!is_in(c, kDigitByte)) return false;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 255) return false;
    text.remove_prefix(number.size());
    if (part == 3) return text.empty();
    if (text.empty()) return false;
    text.remove_prefix(1);
  }
  return false;
}

// RFC 4291 section 2.2: eight groups, at most one "::", the last two groups perhaps in IPv4 form.
bool is_ipv6(std::string_view text) {
  int groups = 0;
  bool compressed = false;
  if (text.starts_with("::")) {
    compressed = true;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    const std::string_view group = text.substr(0, text.find(':'));
    if (group.contains('.')) {  // only as the end
      if (group.size() != text.size() || !is_ipv4(group)) return false;
      groups += 2;
      break;
    }
    if (group.empty() || group.size() > 4 || ++groups > 8) return false;
    for (const char c : group) {
      if (hex_value(c) < 0) return false;
    }
    text.remove_prefix(group.size());
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.empty()) return false;  // a single ':' at the end
    if (text.front() != ':') continue;
    if (compressed) return false;
    compressed = true;
    text.remove_prefix(1);
  }
  return compressed ? groups <= 7 : groups == 8;
}

bool is_port(std::string_view digits) {
  if (digits.size() > 5) return false;
  std::uint32_t value = 0;
  for (const char c : digits) {
    if (!is_in(c, kDigitByte)) return false;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return value <= 65535;
}

// Where the host ends and, perhaps, ":port" begins; npos where the host is none.
std::size_t host_length(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || !is_ipv6(text.substr(1, end - 1))) {
      return std::string_view::npos;
    }
    return end + 1;
  }
  const std::string_view name = text.substr(0, text.find(':'));
  return is_registered_name(name) ? name.size() : std::string_view::npos;
}

}  // namespace

bool is_authority(std::string_view text) {
  const std::size_t host = host_length(text);
  if (host == std::string_view::npos) return false;
  const std::string_view rest = text.substr(host);
  return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
}

bool is_authority_with_port(std::string_view text) {
  return is_authority(text) && !text.ends_with(':') && host_length(text) < text.size();
}

}  // namespace daybook::core::http
