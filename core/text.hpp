// Small text codecs: hex, base64, sizes ("8MiB"), durations ("2s"), RFC 3339 time, percent-coding,
// and the nearest known word for an unknown one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/units.hpp"

namespace daybook::core {

[[nodiscard]] int hex_value(char c);  // -1 where c is no hex digit
[[nodiscard]] std::string to_hex(Bytes bytes);
[[nodiscard]] std::optional<ByteVector> from_hex(std::string_view text);

// RFC 4648 section 4, padding required, no line breaks, no stray bits.
[[nodiscard]] std::string to_base64(Bytes bytes);
[[nodiscard]] std::optional<ByteVector> from_base64(std::string_view text);

// "8MiB", "256KiB", "4096", "1GiB" (also B, kB, MB, GB with powers of 1000).
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string format_size(std::uint64_t bytes);  // "8MiB", exact; parse_size reads it

// "250ms", "2s", "5m", "1h", "7d".
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

// RFC 3339 in UTC with microseconds: 2026-11-21T04:05:06.123456Z. The parser takes any offset and
// any number of fraction digits.
[[nodiscard]] std::string format_time(WallTime time);
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view text);
// RFC 9110 section 5.6.7, the form that is still sent: Sun, 06 Nov 1994 08:49:37 GMT.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);

// RFC 3986: everything but unreserved characters becomes %XX; '/' is kept where asked.
[[nodiscard]] std::string percent_encode(std::string_view text, bool keep_slash = false);
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);
[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] std::string_view trim(std::string_view text);  // spaces and tabs
[[nodiscard]] bool is_utf8(std::string_view text);
// With U+FFFD for every byte that is no part of a character.
[[nodiscard]] std::string to_utf8(std::string_view text);

// The candidate with the smallest edit distance, or an empty string where none is near.
[[nodiscard]] std::string nearest_word(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace daybook::core
