#include "core/budget.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"

namespace daybook::core {

Budget::Budget(Runtime& runtime, std::uint64_t total) : runtime_(runtime), total_(total) {}

Task<std::optional<Budget::Share>> Budget::acquire(std::uint64_t amount, Deadline deadline) {
  if (amount > total_) co_return std::nullopt;
  if (!waiting_.empty() || !fits(amount)) {
    const std::shared_ptr<Signal> turn = runtime_.make_signal();
    waiting_.push_back(turn);
    while (waiting_.front() != turn || !fits(amount)) {
      if (runtime_.steady_now() >= deadline) {
        std::erase(waiting_, turn);
        wake_first();
        co_return std::nullopt;
      }
      co_await turn->wait(deadline);
    }
    waiting_.pop_front();
    wake_first();  // may fit, too
  }
  used_ += amount;
  co_return Share(*this, amount);
}

void Budget::release(std::uint64_t amount) {
  CHECK(amount <= used_);
  used_ -= amount;
  wake_first();
}

void Budget::wake_first() {
  if (!waiting_.empty()) waiting_.front()->notify_all();
}

Budget::Share::Share(Share&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), amount_(std::exchange(other.amount_, 0)) {}

Budget::Share& Budget::Share::operator=(Share&& other) noexcept {
  if (this == &other) return *this;
  shrink_to(0);
  budget_ = std::exchange(other.budget_, nullptr);
  amount_ = std::exchange(other.amount_, 0);
  return *this;
}

void Budget::Share::shrink_to(std::uint64_t amount) {
  if (budget_ == nullptr || amount >= amount_) return;
  budget_->release(amount_ - amount);
  amount_ = amount;
}

bool Budget::Share::try_grow_to(std::uint64_t amount) {
  if (amount <= amount_) return true;
  if (budget_ == nullptr || !budget_->fits(amount - amount_)) return false;
  budget_->used_ += amount - amount_;
  amount_ = amount;
  return true;
}

}  // namespace daybook::core
