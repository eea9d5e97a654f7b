// When a poller asks again. Pure: the caller brings the time and the random number.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/polling/rules.hpp"
#include "core/units.hpp"

namespace daybook::core::polling {

// Retry-After (RFC 9110 section 10.2.3): seconds or a date; nullopt where it is neither. No more
// than a day: beyond that somebody should look.
[[nodiscard]] std::optional<Duration> parse_retry_after(std::string_view value, WallTime now);

// From the beginning of a poll that was complete to that of the next.
[[nodiscard]] Duration wait_after_success(const ScheduleRules& rules, double random_0_to_1);

// From the end of failed poll number `failures` in a row to the next.
[[nodiscard]] Duration wait_after_failure(const ScheduleRules& rules, std::uint32_t failures,
                                          std::optional<Duration> retry_after,
                                          double random_0_to_1);

}  // namespace daybook::core::polling
