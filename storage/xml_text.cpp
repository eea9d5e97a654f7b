#include "storage/xml_text.hpp"

#include <charconv>

namespace daybook::storage {
namespace {

void append_utf8(std::string& out, std::uint32_t point) {
  const auto byte = [&out](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) {
    byte(0xC0 | (point >> 6));
  } else if (point < 0x10000) {
    byte(0xE0 | (point >> 12));
    byte(0x80 | ((point >> 6) & 0x3F));
  } else {
    byte(0xF0 | (point >> 18));
    byte(0x80 | ((point >> 12) & 0x3F));
    byte(0x80 | ((point >> 6) & 0x3F));
  }
  byte(0x80 | (point & 0x3F));
}

// "#38" or "#x26": the code point, where it is one.
std::optional<std::uint32_t> numbered_character(std::string_view name) {
  const bool hex = name.starts_with("#x");
  const std::string_view digits = name.substr(hex ? 2 : 1);
  std::uint32_t point = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), point, hex ? 16 : 10);
  const bool whole = error == std::errc{} && end == digits.data() + digits.size();
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (digits.empty() || !whole || point == 0 || point > 0x10FFFF || surrogate) return std::nullopt;
  return point;
}

}  // namespace

std::optional<std::string_view> only_xml_element(std::string_view xml, std::string_view name) {
  const std::string opening = "<" + std::string(name) + ">";
  const std::string closing = "</" + std::string(name) + ">";
  const std::size_t start = xml.find(opening);
  if (start == std::string_view::npos) return std::nullopt;
  const std::string_view rest = xml.substr(start + opening.size());
  const std::size_t end = rest.find(closing);
  if (end == std::string_view::npos) return std::nullopt;
  if (rest.find(opening) != std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

std::optional<std::string> xml_unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.front() == '<') return std::nullopt;
    if (text.front() != '&') {
      out.push_back(text.front());
      text.remove_prefix(1);
      continue;
    }
    const std::size_t end = text.find(';');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view name = text.substr(1, end - 1);
    if (name == "amp") {
      out.push_back('&');
    } else if (name == "lt") {
      out.push_back('<');
    } else if (name == "gt") {
      out.push_back('>');
    } else if (name == "quot") {
      out.push_back('"');
    } else if (name == "apos") {
      out.push_back('\'');
    } else if (const auto point = name.starts_with('#') ? numbered_character(name) : std::nullopt) {
      append_utf8(out, *point);
    } else {
      return std::nullopt;
    }
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace daybook::storage
