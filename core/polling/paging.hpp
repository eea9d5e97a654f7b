// Targets of a poller's requests: the query parameter with the cursor, and the next page that an
// answer names. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/message.hpp"
#include "core/polling/rules.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::polling {

// target with the query parameter set to the value; one of that name that is there already goes.
[[nodiscard]] std::string with_parameter(std::string_view target, std::string_view name,
                                         std::string_view value);

// The reference of the first link with that relation (RFC 8288 section 3) in the Link lines.
[[nodiscard]] std::optional<std::string> find_link(const http::Fields& fields,
                                                   std::string_view relation);

// A reference (RFC 3986 section 4.2) against the page it stands in, as a target of the same origin.
// Another origin is refused: our headers, and what they prove, are for the one that is set.
[[nodiscard]] Result<std::string> resolve_target(const std::string& origin,
                                                 std::string_view page_target,
                                                 std::string_view reference);

// Where the next page is; empty: this was the last. NextFrom::cursor is not asked for here.
[[nodiscard]] Result<std::string> next_target(const NextRules& rules, const std::string& origin,
                                              const std::string& page_target,
                                              const http::Fields& fields, Bytes document);

}  // namespace daybook::core::polling
