// When to try again. Pure: the caller brings the time and the random number. I/O thread only.
//
// - RetryPolicy: how long one record waits before its next attempt.
// - RetryBudget: how many retries all records together may make against one target.
// - TargetGate: whether a target that refuses everybody may be tried now.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

struct RetryPolicy {
  std::uint32_t attempts_max = 6;
  Duration first = std::chrono::seconds(2);
  Duration longest = std::chrono::minutes(1);

  // The wait after attempt number `attempt` (1, 2, …): doubling, with "full jitter": anything up to
  // it, so that many records that failed together do not return together. What that makes too many
  // at a time, the budget holds back.
  [[nodiscard]] Duration wait_after(std::uint32_t attempt, double random_0_to_1) const {
    Duration full = first;
    for (std::uint32_t i = 1; i < attempt && full < longest; ++i) full *= 2;
    full = std::min(full, longest);
    return std::chrono::duration_cast<Duration>(full * random_0_to_1);
  }
};

// A bucket of tokens: a retry takes one, and gives it back when it succeeds. So retries that fail
// are never more than the bucket holds, one a second, and a share of what succeeds. A target that
// is away gets one retry a second; one that is back gets all of them at once, each bringing the
// next.
class RetryBudget {
 public:
  struct Settings {
    double tokens_max = 100;
    double per_success = 0.1;
    double per_second = 1;
  };
  RetryBudget() : RetryBudget(Settings{}) {}
  explicit RetryBudget(Settings settings) : settings_(settings), tokens_(settings.tokens_max) {}

  // How long until a retry may go; zero: now.
  [[nodiscard]] Duration wait(SteadyTime now);
  void take(SteadyTime now);  // after wait() said zero
  void succeeded(bool was_retry);

 private:
  void refill(SteadyTime now);

  Settings settings_;
  double tokens_;
  SteadyTime filled_{};
};

// Failures are of two kinds. A record's own (damaged, too large, a server error on it) is the
// record's to wait for. A target's refusal (denied, misconfigured: a wrong key, a missing bucket)
// would meet every record the same: the gate closes, one attempt at a time tries it, at most one a
// second and ever more rarely, and the first that succeeds opens it for all. Retries pass the
// budget, too.
class TargetGate {
 public:
  explicit TargetGate(Duration longest = std::chrono::minutes(1), RetryBudget::Settings budget = {})
      : longest_(longest), budget_(budget) {}

  // What would meet every record.
  [[nodiscard]] static bool is_refusal(const Error& error) {
    return error.code == Code::denied || error.code == Code::misconfigured;
  }

  // How long an attempt must wait; zero: it may go. Ask again when another attempt has ended.
  [[nodiscard]] Duration wait(SteadyTime now, bool retry);
  // An attempt begins, after wait() said zero, and ends in one of two ways.
  void begin(SteadyTime now, bool retry);
  void succeeded(bool retry);
  void failed(SteadyTime now, const Error& error, double random_0_to_1);

  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] std::uint64_t successes() const { return successes_; }

 private:
  Duration longest_;
  RetryBudget budget_;
  bool closed_ = false;
  bool trying_ = false;  // while closed: the one attempt
  SteadyTime next_{};    // while closed: not before
  std::uint32_t refusals_ = 0;
  std::uint64_t successes_ = 0;
};

}  // namespace daybook::core
