// What an attempt to deliver a notice came to.
#pragma once

#include <optional>
#include <string>

#include "core/http/message.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::delivery {

struct Verdict {
  enum class Kind {
    delivered,  // 2xx
    away,       // the subscriber takes nothing now; it is waited for without end
    failed,     // an answer about this record; it counts
    gone,       // 410: the subscriber wants no more
  };
  Kind kind = Kind::delivered;
  // A metric's label: status_4xx, status_5xx, status_other, gone, throttled, unavailable, timeout,
  // connect, tls, refused_address, permission, payload.
  std::string reason;
  std::string detail;                   // for people; nothing of what was sent
  std::optional<Duration> retry_after;  // what the subscriber asked for, bounded
};

// Longer waits than this are not granted to a Retry-After.
inline constexpr Duration kRetryAfterMax = std::chrono::hours(1);

// 429, 502, 503 and 504 say that the subscriber is not there for anybody; every other answer that
// is not 2xx is about the notice.
[[nodiscard]] Verdict judge(const http::ResponseHead& answer, WallTime now);
// No whole answer came.
[[nodiscard]] Verdict judge(const Error& error);

// Retry-After (RFC 9110 section 10.2.3), seconds or a date, at most kRetryAfterMax from now.
[[nodiscard]] std::optional<Duration> parse_retry_after(std::string_view value, WallTime now);

}  // namespace daybook::core::delivery
