// classify(): the one place that turns PostgreSQL's SQLSTATEs and libpq's words into Errors.
#pragma once

#include <string_view>

#include "core/result.hpp"

namespace daybook::storage {

// What a SQLSTATE means for the caller (PostgreSQL's appendix "Error Codes"). message: the server's
// own words; server: which one, for people. What an operator mends is Retry::safe: the rows wait.
// Code::conflict: the transaction gave way to others and may succeed at once when run again.
[[nodiscard]] core::Error classify_sqlstate(std::string_view sqlstate, std::string_view message,
                                            std::string_view server);

// Why there is no connection: libpq's text, which has the SQLSTATE where the server answered.
[[nodiscard]] core::Error classify_connecting(std::string_view message, std::string_view server);

// A connection that ended while it was used: what was sent may have happened.
[[nodiscard]] core::Error connection_lost(std::string_view message, std::string_view server);

}  // namespace daybook::storage
