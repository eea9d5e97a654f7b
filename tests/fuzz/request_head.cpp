// Any bytes as a request head.
#include "head_rules.hpp"

using namespace daybook::core;  // NOLINT: one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = std::as_bytes(std::span(data, size));
  http::fuzz::check_fronts<http::RequestHead>(input, http::parse_request_head);
  const auto outcome = http::parse_request_head(input);
  if (const auto* parsed = std::get_if<http::Parsed<http::RequestHead>>(&outcome)) {
    const http::RequestHead& head = parsed->head;
    http::fuzz::check_fields(head.fields, head.minor_version);
    CHECK(head.fields.count("host") <= 1);
    CHECK(head.minor_version == 0 || head.fields.count("host") == 1);
    CHECK(head.path.starts_with('/') || head.path == "*" || head.method == "CONNECT");
    CHECK(!head.path.contains('\0'));
    CHECK((head.framing == http::Framing::chunked) ==
          (head.fields.count("transfer-encoding") == 1));
    CHECK((head.framing == http::Framing::length) == (head.fields.count("content-length") == 1));
  }
  return 0;
}
