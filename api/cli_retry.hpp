// When the command line sends a record again, and how long it waits. Pure.
// Every attempt carries the same idempotency key, so sending again is always safe.
#pragma once

#include <chrono>
#include <optional>

#include "core/http/message.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::api {

// Answers after which the same request may succeed: 408, 409 (a twin is in flight), 429, 502, 503,
// 504.
[[nodiscard]] bool is_worth_retrying(int status);
// Failures before an answer: connections and deadlines, not an unusable URL.
[[nodiscard]] bool is_worth_retrying(const core::Error& error);

// Seconds of a Retry-After field; a date or nonsense is nullopt.
[[nodiscard]] std::optional<std::chrono::seconds> retry_after(const core::http::Fields& fields);

// attempt: 0 after the first failure. Doubles from 250 ms to 15 s; the server's wish is a lower
// bound, itself bounded by five minutes. jitter in [0, 1) spreads clients over a further half.
[[nodiscard]] std::chrono::milliseconds retry_wait(unsigned attempt,
                                                   std::optional<std::chrono::seconds> server_wish,
                                                   double jitter);

}  // namespace daybook::api
