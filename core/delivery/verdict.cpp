#include "core/delivery/verdict.hpp"

#include <algorithm>
#include <charconv>

#include "core/text.hpp"

namespace daybook::core::delivery {
namespace {

std::string status_class(int status) {
  if (status >= 400 && status < 500) return "status_4xx";
  if (status >= 500 && status < 600) return "status_5xx";
  return "status_other";
}

std::string describe(int status) {
  const std::string text =
      "it answered " + std::to_string(status) + " " + std::string(http::reason_phrase(status));
  if (status < 300 || status >= 400) return text;
  return text + "; redirects are not followed: set its new address as url";
}

}  // namespace

std::optional<Duration> parse_retry_after(std::string_view value, WallTime now) {
  const std::string_view text = trim(value);
  const bool digits =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (digits) {
    std::uint64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const auto most = std::chrono::duration_cast<std::chrono::seconds>(kRetryAfterMax).count();
    if (error != std::errc{} || seconds > static_cast<std::uint64_t>(most)) return kRetryAfterMax;
    return std::chrono::seconds(seconds);
  }
  const auto date = parse_http_date(text);
  if (!date) return std::nullopt;
  const auto wait = std::chrono::duration_cast<Duration>(
      std::clamp(*date - now, WallTime::duration(0),
                 std::chrono::duration_cast<WallTime::duration>(kRetryAfterMax)));
  return wait;
}

Verdict judge(const http::ResponseHead& answer, WallTime now) {
  const int status = answer.status;
  if (status >= 200 && status < 300) return {};
  Verdict verdict{.kind = Verdict::Kind::failed,
                  .reason = status_class(status),
                  .detail = describe(status),
                  .retry_after = std::nullopt};
  if (const auto asked = answer.fields.find("Retry-After")) {
    verdict.retry_after = parse_retry_after(*asked, now);
  }
  switch (status) {
    case 410:
      verdict.kind = Verdict::Kind::gone;
      verdict.reason = "gone";
      break;
    case 429:
      verdict.kind = Verdict::Kind::away;
      verdict.reason = "throttled";
      break;
    case 502:
    case 503:
    case 504:
      verdict.kind = Verdict::Kind::away;
      verdict.reason = "unavailable";
      break;
    default:
      break;
  }
  return verdict;
}

Verdict judge(const Error& error) {
  Verdict verdict{.kind = Verdict::Kind::away,
                  .reason = "connect",
                  .detail = error.detail,
                  .retry_after = std::nullopt};
  switch (error.code) {
    case Code::timeout:
      verdict.reason = "timeout";
      break;
    case Code::denied:
      verdict.reason = "refused_address";
      break;
    case Code::misconfigured:
      verdict.reason = "tls";
      break;
    case Code::too_large:
    case Code::invalid_argument:
      // An answer came, and it was no good one.
      verdict.kind = Verdict::Kind::failed;
      verdict.reason = "status_other";
      break;
    default:
      break;
  }
  return verdict;
}

}  // namespace daybook::core::delivery
