#include "core/http/fields.hpp"

#include <algorithm>
#include <limits>

#include "core/http/char_class.hpp"
#include "core/http/structured_field.hpp"
#include "core/text.hpp"

namespace daybook::core::http {
namespace {

// Digits only; what does not fit is as large as can be, which no representation reaches.
std::optional<std::uint64_t> parse_position(std::string_view digits) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  if (digits.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (!is_in(c, kDigitByte)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    value = value > (kMax - digit) / 10 ? kMax : value * 10 + digit;
  }
  return value;
}

}  // namespace

Result<std::optional<Sha256>> parse_content_digest(std::string_view value) {
  const auto members = parse_dictionary(value);
  if (!members) return pass(members);
  const auto member = std::ranges::find(*members, "sha-256", &DictionaryMember::key);
  if (member == members->end()) return std::nullopt;
  Sha256 digest;
  if (!member->bytes || member->bytes->size() != digest.bytes.size()) {
    return fail(Code::invalid_argument, Origin::client, Retry::never,
                "Content-Digest's sha-256 must be a byte sequence of 32 bytes, as sha-256=:...:");
  }
  std::ranges::copy(*member->bytes, digest.bytes.begin());
  return digest;
}

std::string format_content_digest(const Sha256& digest) {
  return "sha-256=:" + to_base64(digest.bytes) + ":";
}

RangeOutcome parse_range(std::string_view value, std::uint64_t size) {
  using Kind = RangeOutcome::Kind;
  const std::size_t equals = value.find('=');
  if (equals == std::string_view::npos) return {};
  if (!equals_ignoring_case(trim(value.substr(0, equals)), "bytes")) return {};
  const std::string_view range = trim(value.substr(equals + 1));
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return {};

  const std::string_view last_text = range.substr(dash + 1);
  const auto last = parse_position(last_text);
  if (!last && !last_text.empty()) return {};
  if (dash == 0) {  // the last so many bytes
    if (!last) return {};
    if (*last == 0) return {Kind::unsatisfiable};
    if (size == 0) return {};  // RFC 9110 section 14.1.2: satisfied by the empty whole
    return {Kind::part, size - std::min(*last, size), size - 1};
  }
  const auto first = parse_position(range.substr(0, dash));
  if (!first || (last && *last < *first)) return {};
  if (*first >= size) return {Kind::unsatisfiable};
  return {Kind::part, *first, last ? std::min(*last, size - 1) : size - 1};
}

std::string media_type(std::string_view content_type) {
  return to_lower(trim(content_type.substr(0, content_type.find(';'))));
}

}  // namespace daybook::core::http
