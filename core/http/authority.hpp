// The authority of a request: Host and absolute-form targets (RFC 3986 section 3.2, RFC 9110
// section 7.2).
#pragma once

#include <string_view>

namespace daybook::core::http {

// uri-host [":" port], where what servers read in different ways is refused: user information,
// percent escapes, commas, empty labels ("a..b"; one final dot is fine), ports above 65535, an
// empty host.
[[nodiscard]] bool is_authority(std::string_view text);

// The same with a port that is not empty, as CONNECT needs it.
[[nodiscard]] bool is_authority_with_port(std::string_view text);

}  // namespace daybook::core::http
