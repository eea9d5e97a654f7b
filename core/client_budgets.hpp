// ClientBudgets: each client address has a budget of its own beside the common one, so that a
// single client cannot hold all of it. A budget exists for as long as somebody uses it. I/O thread
// only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/budget.hpp"

namespace daybook::core {

class ClientBudgets {
 public:
  ClientBudgets(Runtime& runtime, std::uint64_t each) : runtime_(runtime), each_(each) {}

  // The caller keeps the pointer for as long as it holds a share of it.
  [[nodiscard]] std::shared_ptr<Budget> of(const std::string& address) {
    if (auto known = budgets_[address].lock()) return known;
    // The budget takes its entry along when its last user goes.
    std::shared_ptr<Budget> made(new Budget(runtime_, each_), [this, address](Budget* budget) {
      budgets_.erase(address);
      delete budget;
    });
    budgets_[address] = made;
    return made;
  }
  [[nodiscard]] std::size_t clients() const { return budgets_.size(); }
  [[nodiscard]] std::uint64_t each() const { return each_; }

 private:
  Runtime& runtime_;
  std::uint64_t each_;
  std::map<std::string, std::weak_ptr<Budget>> budgets_;
};

}  // namespace daybook::core
