// Strict parser of HTTP/1.1 heads: bytes in, a whole head or a refusal out. No I/O, no state
// between calls. The rule: what two parsers could read in two ways is refused (RFC 9112
// sections 2.2, 5, 6, 11.2). Refused among others: bare CR or LF line ends, obs-fold, space before
// the colon, NUL and other control bytes, Content-Length with Transfer-Encoding, two or unequal or
// signed lengths, any transfer coding but a single "chunked", chunked in HTTP/1.0, no or two Host
// fields in HTTP/1.1, a Host field that differs from an absolute-form target. Bytes are judged in
// order and each refusal depends only on the bytes before it: however the input is cut, the answer
// is the same, and a bad head is refused at its first bad byte or line.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "core/http/message.hpp"
#include "core/units.hpp"

namespace daybook::core::http {

// Longer request lines are 414. RFC 9112 section 3 asks for at least 8,000 bytes; none of ours
// needs 1 KiB.
inline constexpr std::size_t kRequestLineBytesMax = 8 * KiB;

struct NeedMore {};
template <class Head>
struct Parsed {
  Head head;
  std::size_t consumed = 0;  // bytes of the input that were the head
};
struct Refused {
  int status = 400;    // 400, 414, 417, 431, 501 or 505
  std::string detail;  // what was wrong, for the client
};

// input: everything received so far, from the first byte of the head on. Empty lines in front of
// a request are skipped. NeedMore is only returned while limits::kHeadBytesMax is not reached.
[[nodiscard]] std::variant<NeedMore, Parsed<RequestHead>, Refused> parse_request_head(Bytes input);

// request_method decides whether a body follows (HEAD). 1xx heads are returned like any other.
// A refusal's status says which bound or rule was broken; there is nobody to send it to.
[[nodiscard]] std::variant<NeedMore, Parsed<ResponseHead>, Refused> parse_response_head(
    Bytes input, std::string_view request_method);

}  // namespace daybook::core::http
