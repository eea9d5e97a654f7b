// How a record came (core::Envelope::context): the door, the client's address and agent, the
// principal a proxy vouches for, and the headers that the settings list. Never a secret: the rules
// of the settings refuse headers that carry one. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/http/message.hpp"
#include "core/result.hpp"

namespace daybook::api {

// door: the word for it, such as "records". An error means that the principal is in doubt.
[[nodiscard]] core::Result<std::map<std::string, std::string>> record_context(
    const core::http::RequestHead& head, const std::string& peer, std::string_view door,
    const core::Config& config);

// Text within the bound of a context's value; nothing is cut inside a character.
[[nodiscard]] std::string bounded_context(std::string_view value);

// Whether the name of a piece of metadata, in any case, says that its value lets somebody act as
// somebody else.
[[nodiscard]] bool may_carry_secret(std::string_view name);

// The names in ingest.context_headers, in lower case.
[[nodiscard]] std::vector<std::string> context_headers(const core::Config& config);

// What is wrong with the two settings, one sentence each.
void check_context_settings(const core::Config& config, std::vector<std::string>& broken);

}  // namespace daybook::api
