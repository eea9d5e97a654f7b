// DrainRate: how fast something empties, in bytes a second, with more weight on what happened last;
// and from it, when room for a request will be there. Pure: time is passed in. One thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/units.hpp"

namespace daybook::core {

class DrainRate {
 public:
  // half_life: after this long an event counts half.
  explicit DrainRate(Duration half_life = std::chrono::seconds(10))
      : decay_per_s_(std::log(2.0) / std::chrono::duration<double>(half_life).count()) {}

  void add(std::uint64_t bytes, SteadyTime now) {
    weight_ = decayed(now) + static_cast<double>(bytes);
    last_ = now;
    if (first_ == SteadyTime{}) first_ = now;
  }

  // 0 where nothing has drained yet, or not for long. Before a few half-lives have passed only the
  // time that was watched counts, so that a young process does not call itself slow.
  [[nodiscard]] double per_second(SteadyTime now) const {
    if (first_ == SteadyTime{}) return 0;
    const double watched_s = std::max(1.0, std::chrono::duration<double>(now - first_).count());
    return decayed(now) * decay_per_s_ / (1 - std::exp(-decay_per_s_ * watched_s));
  }

 private:
  [[nodiscard]] double decayed(SteadyTime now) const {
    if (last_ == SteadyTime{}) return 0;
    const double passed_s = std::max(0.0, std::chrono::duration<double>(now - last_).count());
    return weight_ * std::exp(-decay_per_s_ * passed_s);
  }

  double decay_per_s_;
  double weight_ = 0;
  SteadyTime first_{};
  SteadyTime last_{};
};

// Retry-After is never shorter or longer than this: a client that waits less only knocks, and one
// that waits more does not notice that the trouble is over.
inline constexpr std::uint32_t kRetryAfterMinS = 1;
inline constexpr std::uint32_t kRetryAfterMaxS = 60;

// Up to a quarter more, by the client's dice (any number), so that those who were refused together
// do not come back together.
[[nodiscard]] inline std::uint32_t retry_after_s(double seconds, std::uint64_t dice) {
  const double clamped = std::clamp<double>(std::isfinite(seconds) ? seconds : kRetryAfterMaxS,
                                            kRetryAfterMinS, kRetryAfterMaxS);
  const double jittered = clamped * (1 + 0.25 * static_cast<double>(dice % 1024) / 1024);
  return std::min(kRetryAfterMaxS, static_cast<std::uint32_t>(std::ceil(jittered)));
}

// When `missing` bytes will have drained.
[[nodiscard]] inline std::uint32_t retry_after_drain_s(std::uint64_t missing, double per_second,
                                                       std::uint64_t dice) {
  if (missing == 0) return retry_after_s(kRetryAfterMinS, dice);
  if (per_second < 1) return retry_after_s(kRetryAfterMaxS, dice);
  return retry_after_s(static_cast<double>(missing) / per_second, dice);
}

// A dependency that is down: as long again as it has been down already, halved, because nobody
// knows.
[[nodiscard]] inline std::uint32_t retry_after_outage_s(Duration down_for, std::uint64_t dice) {
  return retry_after_s(std::chrono::duration<double>(down_for).count() / 2, dice);
}

}  // namespace daybook::core
