// One budget for each address, for as long as it is used.
#include "core/client_budgets.hpp"

#include <gtest/gtest.h>

#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;

TEST(ClientBudgets, keeps_one_address_from_taking_anothers_share) {
  VirtualRuntime runtime;
  core::ClientBudgets budgets(runtime, 100);
  const auto a = budgets.of("10.0.0.1");
  const auto b = budgets.of("10.0.0.2");
  const auto of_a = runtime.run(a->acquire(100, runtime.steady_now()));
  EXPECT_TRUE(of_a);
  EXPECT_FALSE(runtime.run(budgets.of("10.0.0.1")->acquire(1, runtime.steady_now() + 1s)));
  EXPECT_TRUE(runtime.run(b->acquire(100, runtime.steady_now())));
}

TEST(ClientBudgets, remembers_nobody_who_is_gone) {
  VirtualRuntime runtime;
  core::ClientBudgets budgets(runtime, 100);
  for (int i = 0; i < 1000; ++i) {
    const auto one = budgets.of("10.0.0." + std::to_string(i));
    EXPECT_EQ(budgets.clients(), 1u);
  }
  EXPECT_EQ(budgets.clients(), 0u);
}

TEST(ClientBudgets, is_the_same_budget_for_all_requests_of_an_address) {
  VirtualRuntime runtime;
  core::ClientBudgets budgets(runtime, 100);
  const auto one = budgets.of("::1");
  EXPECT_EQ(one, budgets.of("::1"));
  EXPECT_NE(one, budgets.of("::2"));
}

}  // namespace
}  // namespace daybook::tests
