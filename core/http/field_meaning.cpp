#include "core/http/field_meaning.hpp"

#include <algorithm>
#include <limits>

#include "core/http/authority.hpp"
#include "core/http/char_class.hpp"
#include "core/text.hpp"

namespace daybook::core::http {
namespace {

constexpr FieldRefusal kLengthAndCoding = {
    400, "Content-Length and Transfer-Encoding exclude each other."};

// Gateways that make variables of fields read '_' and '-' as the same.
constexpr FieldRefusal kUnderscore = {
    400, "A field that some read as Content-Length or Transfer-Encoding must not be sent."};

// Decimal digits that fit; no sign, no list.
std::optional<std::uint64_t> parse_length(std::string_view digits) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  if (digits.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (!is_in(c, kDigitByte)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return is_in(c, kTokenByte); });
}

// Calls visit with each member of a comma-separated list, trimmed; empty ones too.
template <class Visit>
void for_each_member(std::string_view list, Visit visit) {
  while (true) {
    const std::size_t comma = list.find(',');
    visit(trim(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

std::optional<FieldRefusal> FieldMeaning::add(std::string_view name, std::string_view value,
                                              int minor_version) {
  switch (name.size()) {  // the length alone tells most other fields apart
    case 4:
      if (is_request_ && equals_ignoring_case(name, "host")) return on_host(value);
      break;
    case 6:
      if (is_request_ && equals_ignoring_case(name, "expect")) {
        return on_expect(value, minor_version);
      }
      break;
    case 10:
      if (equals_ignoring_case(name, "connection")) return on_connection(value);
      break;
    case 14:
      if (equals_ignoring_case(name, "content-length")) return on_length(value);
      if (equals_ignoring_case(name, "content_length")) return kUnderscore;
      break;
    case 17:
      if (equals_ignoring_case(name, "transfer-encoding")) return on_coding(value, minor_version);
      if (equals_ignoring_case(name, "transfer_encoding")) return kUnderscore;
      break;
    default:
      break;
  }
  return std::nullopt;
}

std::optional<FieldRefusal> FieldMeaning::on_host(std::string_view value) {
  if (has_host_) return FieldRefusal{400, "There must be one Host field, not several."};
  has_host_ = true;
  host_ = value;
  if (is_authority(value)) return std::nullopt;
  return FieldRefusal{400, "The Host field is no host with an optional port."};
}

std::optional<FieldRefusal> FieldMeaning::on_expect(std::string_view value, int minor_version) {
  if (!equals_ignoring_case(value, "100-continue")) {
    return FieldRefusal{417, "The only expectation known here is 100-continue."};
  }
  expects_continue_ = minor_version == 1;
  return std::nullopt;
}

// A proxy removes the fields that are named here; with them it would remove the framing or the host
// of the request (RFC 9110 section 7.6.1).
std::optional<FieldRefusal> FieldMeaning::on_connection(std::string_view value) {
  bool removes_meaning = false;
  for_each_member(value, [&](std::string_view option) {
    if (equals_ignoring_case(option, "close")) said_close_ = true;
    if (equals_ignoring_case(option, "keep-alive")) said_keep_alive_ = true;
    if (equals_ignoring_case(option, "upgrade")) said_upgrade_ = true;
    removes_meaning = removes_meaning || equals_ignoring_case(option, "content-length") ||
                      equals_ignoring_case(option, "transfer-encoding") ||
                      equals_ignoring_case(option, "host");
  });
  if (!removes_meaning) return std::nullopt;
  return FieldRefusal{400, "Connection must not name Host, Content-Length or Transfer-Encoding."};
}

std::optional<FieldRefusal> FieldMeaning::on_length(std::string_view value) {
  if (length_) return FieldRefusal{400, "There must be one Content-Length field, not several."};
  if (chunked_) return kLengthAndCoding;
  length_ = parse_length(value);
  if (length_) return std::nullopt;
  return FieldRefusal{400, "Content-Length must be one number of decimal digits."};
}

std::optional<FieldRefusal> FieldMeaning::on_coding(std::string_view value, int minor_version) {
  if (length_) return kLengthAndCoding;
  if (minor_version == 0) return FieldRefusal{400, "HTTP/1.0 has no Transfer-Encoding."};
  if (chunked_) return FieldRefusal{400, "There must be one Transfer-Encoding field, not several."};
  if (equals_ignoring_case(value, "chunked")) {
    chunked_ = true;
    return std::nullopt;
  }
  bool well_formed = true;
  bool unknown = false;
  for_each_member(value, [&](std::string_view coding) {
    well_formed = well_formed && is_token(coding);
    unknown = unknown || !equals_ignoring_case(coding, "chunked");
  });
  if (well_formed && unknown) {
    return FieldRefusal{501, "The only transfer coding known here is chunked."};
  }
  return FieldRefusal{400, "Transfer-Encoding must be a single \"chunked\"."};
}

}  // namespace daybook::core::http
