// Any bytes as the value of a field, a query or an authority.
#include "core/check.hpp"
#include "core/http/authority.hpp"
#include "core/http/fields.hpp"
#include "core/http/message.hpp"
#include "core/http/structured_field.hpp"

using namespace daybook::core;  // NOLINT: one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
  const auto digest = http::parse_content_digest(text);
  CHECK(digest.has_value() || digest.error().code == Code::invalid_argument);
  if (digest && *digest) {
    const auto again = http::parse_content_digest(http::format_content_digest(**digest));
    CHECK(again && *again == *digest);
  }
  for (const std::uint64_t representation : {0UL, 1UL, 1000UL, UINT64_MAX}) {
    const auto range = http::parse_range(text, representation);
    if (range.kind == http::RangeOutcome::Kind::part) {
      CHECK(range.first <= range.last && range.last < representation);
    }
  }
  CHECK(!http::media_type(text).contains(';'));
  static_cast<void>(http::query_parameter(text, "a"));
  if (http::is_authority(text)) {
    CHECK(text.find_first_of(std::string_view("@/\\, \t\r\n\0", 9)) == std::string_view::npos);
  } else {
    CHECK(!http::is_authority_with_port(text));
  }
  return 0;
}
