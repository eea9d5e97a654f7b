#include "storage/s3_list.hpp"

#include <charconv>
#include <optional>
#include <string_view>

namespace daybook::storage {
namespace {

core::Failure damaged(std::string_view why) {
  return core::fail(core::Code::damaged, core::Origin::object_store, core::Retry::safe,
                    "The store's list of objects cannot be read: " + std::string(why) + ".");
}

// The text of the only <name> element directly or further inside; nullopt where it is missing or
// there are two.
std::optional<std::string_view> only_element(std::string_view xml, std::string_view name) {
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

// XML 1.0 section 4.6: the five names, and characters by number.
std::optional<std::string> unescape(std::string_view text) {
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

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

core::Result<S3ListPage> parse_s3_list(core::Bytes document) {
  constexpr std::string_view kRoot = "<ListBucketResult";
  constexpr std::string_view kRootEnd = "</ListBucketResult>";
  constexpr std::string_view kObject = "<Contents>";
  constexpr std::string_view kObjectEnd = "</Contents>";
  std::string_view xml = core::as_text(document);
  const std::size_t root = xml.find(kRoot);
  const std::size_t root_end = xml.rfind(kRootEnd);
  if (root == std::string_view::npos || root_end == std::string_view::npos || root_end < root) {
    return damaged("it is no whole ListBucketResult");
  }
  xml = xml.substr(root, root_end - root);

  S3ListPage page;
  std::string outside;  // everything but the objects
  for (;;) {
    const std::size_t start = xml.find(kObject);
    outside += xml.substr(0, start);
    if (start == std::string_view::npos) break;
    xml.remove_prefix(start + kObject.size());
    const std::size_t end = xml.find(kObjectEnd);
    if (end == std::string_view::npos) return damaged("an entry does not end");
    const std::string_view entry = xml.substr(0, end);
    const auto key_text = only_element(entry, "Key");
    const auto size_text = only_element(entry, "Size");
    if (!key_text || !size_text) return damaged("an entry has not one Key and one Size");
    auto key = unescape(*key_text);
    const auto size = number(*size_text);
    if (!key || key->empty() || !size) return damaged("an entry's Key or Size is no such thing");
    page.objects.push_back({std::move(*key), *size});
    xml.remove_prefix(end + kObjectEnd.size());
  }
  const auto truncated = only_element(outside, "IsTruncated");
  if (!truncated || (*truncated != "true" && *truncated != "false")) {
    return damaged("it does not say whether it is complete");
  }
  if (*truncated == "false") return page;
  const auto token = only_element(outside, "NextContinuationToken");
  auto text = token ? unescape(*token) : std::nullopt;
  if (!text || text->empty()) return damaged("it goes on, but does not say where");
  page.continuation_token = std::move(*text);
  return page;
}

}  // namespace daybook::storage
