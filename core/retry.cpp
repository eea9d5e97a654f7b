#include "core/retry.hpp"

#include <utility>

namespace daybook::core {
namespace {

constexpr Duration kBetweenTries = std::chrono::seconds(1);

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void RetryBudget::refill(SteadyTime now) {
  if (filled_ != SteadyTime{} && now > filled_) {
    tokens_ =
        std::min(settings_.tokens_max, tokens_ + settings_.per_second * seconds(now - filled_));
  }
  filled_ = now;
}

Duration RetryBudget::wait(SteadyTime now) {
  refill(now);
  if (tokens_ >= 1) return Duration{};
  const std::chrono::duration<double> lacking((1 - tokens_) / settings_.per_second);
  return std::chrono::duration_cast<Duration>(lacking) + Duration(1);
}

void RetryBudget::take(SteadyTime now) {
  refill(now);
  tokens_ -= 1;
}

void RetryBudget::succeeded(bool was_retry) {
  tokens_ =
      std::min(settings_.tokens_max, tokens_ + settings_.per_success + (was_retry ? 1.0 : 0.0));
}

Duration TargetGate::wait(SteadyTime now, bool retry) {
  if (closed_) {
    if (trying_) return kBetweenTries;
    return now < next_ ? next_ - now : Duration{};
  }
  return retry ? budget_.wait(now) : Duration{};
}

void TargetGate::begin(SteadyTime now, bool retry) {
  if (closed_) {
    trying_ = true;
    next_ = now + kBetweenTries;
  } else if (retry) {
    budget_.take(now);
  }
}

void TargetGate::succeeded(bool retry) {
  ++successes_;
  closed_ = trying_ = false;
  refusals_ = 0;
  budget_.succeeded(retry);
}

void TargetGate::failed(SteadyTime now, const Error& error, double random_0_to_1) {
  const bool the_one = std::exchange(trying_, false);
  // Not every failure comes from the target; only a success opens a closed gate.
  if (!is_refusal(error)) return;
  // Those that were under way together are refused together: one refusal.
  if (closed_ && !the_one) return;
  closed_ = true;
  const RetryPolicy policy{.first = 2 * kBetweenTries, .longest = longest_};
  next_ = now + std::max(kBetweenTries, policy.wait_after(++refusals_, random_0_to_1));
}

}  // namespace daybook::core
