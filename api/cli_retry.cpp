#include "api/cli_retry.hpp"

#include <algorithm>
#include <charconv>

#include "core/text.hpp"

namespace daybook::api {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool is_worth_retrying(int status) {
  return status == 408 || status == 409 || status == 429 || (status >= 502 && status <= 504);
}

bool is_worth_retrying(const core::Error& error) {
  return error.retry != core::Retry::never;
}

std::optional<seconds> retry_after(const core::http::Fields& fields) {
  const auto field = fields.find("Retry-After");
  if (!field) return std::nullopt;
  const std::string_view text = core::trim(*field);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return seconds(number);
}

milliseconds retry_wait(unsigned attempt, std::optional<seconds> server_wish, double jitter) {
  constexpr milliseconds kFirst(250);
  constexpr milliseconds kLongest(15'000);
  constexpr milliseconds kLongestWish(300'000);
  milliseconds wait = kFirst * (1U << std::min(attempt, 10U));
  wait = std::min(wait, kLongest);
  if (server_wish) wait = std::max(wait, std::min<milliseconds>(*server_wish, kLongestWish));
  return wait + milliseconds(static_cast<std::int64_t>(static_cast<double>(wait.count()) / 2 *
                                                       std::clamp(jitter, 0.0, 1.0)));
}

}  // namespace daybook::api
