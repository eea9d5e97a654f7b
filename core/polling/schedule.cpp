#include "core/polling/schedule.hpp"

#include <algorithm>
#include <charconv>

#include "core/retry.hpp"
#include "core/text.hpp"

namespace daybook::core::polling {
namespace {

constexpr auto kRetryAfterMax = std::chrono::hours(24);
// Full jitter may say no wait at all; a source that fails is not asked in a tight loop.
constexpr Duration kWaitMin = std::chrono::seconds(1);

}  // namespace

std::optional<Duration> parse_retry_after(std::string_view value, WallTime now) {
  value = trim(value);
  std::uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (end == value.data() + value.size() && !value.empty()) {
    if (error == std::errc::result_out_of_range) return kRetryAfterMax;
    if (error == std::errc{}) {
      return std::min<Duration>(kRetryAfterMax,
                                std::chrono::seconds(std::min<std::uint64_t>(seconds, 86'400)));
    }
  }
  const auto date = parse_http_date(value);
  if (!date) return std::nullopt;
  return std::clamp<Duration>(*date - now, Duration{}, kRetryAfterMax);
}

Duration wait_after_success(const ScheduleRules& rules, double random_0_to_1) {
  return rules.interval + std::chrono::duration_cast<Duration>(rules.jitter * random_0_to_1);
}

Duration wait_after_failure(const ScheduleRules& rules, std::uint32_t failures,
                            std::optional<Duration> retry_after, double random_0_to_1) {
  const RetryPolicy policy{.first = rules.interval,
                           .longest = std::max(rules.interval, rules.backoff_max)};
  const Duration wait =
      std::max(std::min(rules.interval, kWaitMin), policy.wait_after(failures, random_0_to_1));
  return std::max(wait, retry_after.value_or(Duration{}));
}

}  // namespace daybook::core::polling
