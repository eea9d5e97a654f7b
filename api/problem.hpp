// Errors as HTTP answers: RFC 9457 problem+json. One function decides the status of an Error.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

[[nodiscard]] int http_status(const core::Error& error);

// Retry-After is added where another try can help.
[[nodiscard]] io::HttpAnswer problem(const core::Error& error);
// retry_after_s: instead of the fixed value of the status; 0 = that one.
[[nodiscard]] io::HttpAnswer problem(const core::Error& error, std::uint32_t retry_after_s);
// With further members (RFC 9457 section 3.2).
using ProblemMembers = std::vector<std::pair<std::string_view, std::string>>;
[[nodiscard]] io::HttpAnswer problem(const core::Error& error, std::uint32_t retry_after_s,
                                     const ProblemMembers& members);
// For refusals that never became an Error (framing, routes). code: a word for programs.
[[nodiscard]] io::HttpAnswer problem(int status, std::string_view code, std::string_view detail);

[[nodiscard]] io::HttpAnswer json_answer(int status, std::string body);

}  // namespace daybook::api
