#include "storage/s3_fields.hpp"

#include <algorithm>
#include <charconv>

#include "core/text.hpp"
#include "storage/s3_store.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Result;

constexpr std::size_t kKeyBytesMax = 1024;  // S3's bound

core::Failure refuse(std::string detail) {
  return core::fail(Code::invalid_argument, core::Origin::object_store, core::Retry::never,
                    std::move(detail));
}

bool is_lower_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

std::string squeezed(std::string_view text) {
  std::string result;
  for (const char c : core::trim(text)) {
    if (c == ' ' && result.ends_with(' ')) continue;
    result += c;
  }
  return result;
}

std::string content_type_of(const core::PutObject& object) {
  const std::string type = squeezed(object.content_type);
  return type.empty() || !is_printable(type) ? "application/octet-stream" : type;
}

Result<void> check_metadata(const core::PutObject& object) {
  for (const auto& [name, value] : object.metadata) {
    if (!is_lower_token(name) || !is_printable(value)) {
      return refuse("The metadata '" + name + "' cannot be a header.");
    }
  }
  return {};
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (!text.starts_with(kUnit) || dash == std::string_view::npos ||
      slash == std::string_view::npos || slash < dash) {
    return std::nullopt;
  }
  const auto first = parse_number(text.substr(kUnit.size(), dash - kUnit.size()));
  const auto last = parse_number(text.substr(dash + 1, slash - dash - 1));
  const auto total = parse_number(text.substr(slash + 1));
  if (!first || !last || (!total && text.substr(slash + 1) != "*")) return std::nullopt;
  return ContentRange{*first, *last, total};
}

Result<void> check_s3_key(std::string_view key) {
  const auto bad = [](std::string_view why) {
    return refuse("The object key " + std::string(why) + ".");
  };
  if (key.empty()) return bad("is empty");
  if (key.size() > kKeyBytesMax) return bad("is longer than 1024 bytes");
  if (key.starts_with('/')) return bad("begins with '/'");
  for (const char c : key) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) return bad("holds a control character");
  }
  for (std::size_t start = 0; start <= key.size();) {
    const std::size_t end = std::min(key.find('/', start), key.size());
    const std::string_view part = key.substr(start, end - start);
    if (part == "." || part == "..") return bad("has a part that is '.' or '..'");
    start = end + 1;
  }
  return {};
}

}  // namespace daybook::storage
