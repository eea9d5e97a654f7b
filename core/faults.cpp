#include "core/faults.hpp"

#ifdef DAYBOOK_FAULTS

#include <atomic>
#include <csignal>

namespace daybook::core::faults {
namespace {

Plan plan;  // written once, before any thread starts
std::atomic<unsigned> hits{0};

}  // namespace

void configure(Plan new_plan) {
  plan = std::move(new_plan);
}

// SIGKILL, as the tests' own kills: nothing is flushed, nobody says goodbye.
void crash_point(std::string_view name) {
  if (name == plan.crash_point && ++hits == plan.crash_hit) static_cast<void>(std::raise(SIGKILL));
}

void poison_point(std::string_view subject) {
  if (!plan.poison.empty() && subject == plan.poison) static_cast<void>(std::raise(SIGKILL));
}

bool planted(std::string_view defect) {
  return defect == plan.defect;
}

}  // namespace daybook::core::faults

#endif
