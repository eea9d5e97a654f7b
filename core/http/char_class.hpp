// Which bytes may stand where in HTTP/1.1 (RFC 9110 section 5, RFC 9112 section 3): one table
// look-up a byte, shared by the head parser and the chunked decoder so that they cannot disagree.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace daybook::core::http {

inline constexpr std::uint8_t kTokenByte = 1;   // tchar: methods, field names, extension names
inline constexpr std::uint8_t kValueByte = 2;   // VCHAR, obs-text, SP, HTAB: field values, reasons
inline constexpr std::uint8_t kTargetByte = 4;  // visible ASCII but '#': request targets
inline constexpr std::uint8_t kNameByte =
    8;  // registered names in an authority, without '%' and ','
inline constexpr std::uint8_t kDigitByte = 16;

namespace detail {
constexpr std::array<std::uint8_t, 256> make_char_classes() {
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
  constexpr std::string_view kNameMarks = "-._~!$&'()*+;=";
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool visible = c > 0x20 && c < 0x7F;
    std::uint8_t& bits = classes[c];
    if (digit) bits |= kDigitByte;
    if (digit || letter || kTokenMarks.contains(byte)) bits |= kTokenByte;
    if (digit || letter || kNameMarks.contains(byte)) bits |= kNameByte;
    if (visible || c >= 0x80 || c == ' ' || c == '\t') bits |= kValueByte;
    if (visible && c != '#') bits |= kTargetByte;
  }
  return classes;
}
inline constexpr std::array<std::uint8_t, 256> kCharClasses = make_char_classes();
}  // namespace detail

[[nodiscard]] constexpr bool is_in(char byte, std::uint8_t char_class) {
  return (detail::kCharClasses[static_cast<unsigned char>(byte)] & char_class) != 0;
}

static_assert(!is_in('\0', 0xFF) && !is_in('\r', 0xFF) && !is_in('\n', 0xFF) &&
              !is_in('\x7F', 0xFF));
static_assert(!is_in(':', kTokenByte) && !is_in(' ', kTokenByte) && !is_in(' ', kTargetByte));

}  // namespace daybook::core::http
