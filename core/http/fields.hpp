// Field values with a grammar of their own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/digest.hpp"
#include "core/result.hpp"

namespace daybook::core::http {

// Content-Digest (RFC 9530 section 2): the sha-256 member of a structured-field dictionary (RFC
// 9651). Several field lines are one value, joined with ", ". A repeated member counts with its
// last value. nullopt: well-formed, but no sha-256 member in it. Malformed: Code::invalid_argument.
[[nodiscard]] Result<std::optional<Sha256>> parse_content_digest(std::string_view value);
[[nodiscard]] std::string format_content_digest(const Sha256& digest);

// Range (RFC 9110 section 14.2) against a representation of `size` bytes.
struct RangeOutcome {
  enum class Kind { whole, part, unsatisfiable } kind = Kind::whole;
  std::uint64_t first = 0;
  std::uint64_t last = 0;  // inclusive
};
// Several ranges, other units and malformed values mean the whole, as the RFC allows.
[[nodiscard]] RangeOutcome parse_range(std::string_view value, std::uint64_t size);

// A media type's essence: "application/json; charset=utf-8" -> "application/json", lower case.
[[nodiscard]] std::string media_type(std::string_view content_type);

}  // namespace daybook::core::http
