// Budget: a bounded amount (bytes, or slots of 1) that is asked for before it is used. Waiters are
// served in the order they came, so that a large request is not starved by small ones. I/O thread
// only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "core/ports/runtime.hpp"

namespace daybook::core {

class Budget {
 public:
  Budget(Runtime& runtime, std::uint64_t total);

  // What was granted; given back when it goes.
  class Share {
   public:
    Share() = default;
    Share(Budget& budget, std::uint64_t amount) : budget_(&budget), amount_(amount) {}
    Share(Share&& other) noexcept;
    Share& operator=(Share&& other) noexcept;
    ~Share() { shrink_to(0); }

    [[nodiscard]] std::uint64_t amount() const { return amount_; }
    void shrink_to(std::uint64_t amount);
    [[nodiscard]] bool try_grow_to(std::uint64_t amount);  // without waiting

   private:
    Budget* budget_ = nullptr;
    std::uint64_t amount_ = 0;
  };

  // nullopt: the deadline passed, or amount is more than the whole budget.
  Task<std::optional<Share>> acquire(std::uint64_t amount, Deadline deadline);

  [[nodiscard]] std::uint64_t used() const { return used_; }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  [[nodiscard]] bool fits(std::uint64_t amount) const { return amount <= total_ - used_; }
  void release(std::uint64_t amount);
  void wake_first();

  Runtime& runtime_;
  std::uint64_t total_;
  std::uint64_t used_ = 0;
  // Of each who waits, in order. Only the first can go on, so that thousands may wait.
  std::deque<std::shared_ptr<Signal>> waiting_;
};

}  // namespace daybook::core
