// Any bytes as a response head; the first byte chooses the request's method.
#include "head_rules.hpp"

using namespace daybook::core;  // NOLINT: one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view method = data[0] == 'h' ? "HEAD" : "GET";
  const Bytes input = std::as_bytes(std::span(data, size)).subspan(1);
  const auto parse = [method](Bytes bytes) { return http::parse_response_head(bytes, method); };
  http::fuzz::check_fronts<http::ResponseHead>(input, parse);
  const auto outcome = parse(input);
  if (const auto* parsed = std::get_if<http::Parsed<http::ResponseHead>>(&outcome)) {
    const http::ResponseHead& head = parsed->head;
    http::fuzz::check_fields(head.fields, head.minor_version);
    CHECK(head.status >= 100 && head.status <= 599);
    CHECK(method != "HEAD" || head.framing == http::Framing::none);
    CHECK(head.framing != http::Framing::until_close || !head.keep_alive);
  }
  return 0;
}
