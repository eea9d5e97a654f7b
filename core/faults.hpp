// Faults for test builds (-DDAYBOOK_FAULTS=ON): named points at which the process dies, and named
// defects that a checker must find. In a product build the macros are nothing and nothing of this
// is compiled in.
//
//   CRASH_POINT("before_put");              dies here, on the hit that was configured
//   if (PLANTED("release_before_put")) …    constant false in a product build
//
// What is configured comes from the caller of configure(); core reads no environment. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace daybook::core::faults {

#ifdef DAYBOOK_FAULTS

struct Plan {
  std::string crash_point;  // dies at its crash_hit-th hit
  unsigned crash_hit = 1;   // counted from 1
  std::string poison;       // a record with this subject kills the process that archives it
  std::string defect;       // one of the names in the code
};

void configure(Plan plan);
void crash_point(std::string_view name);
void poison_point(std::string_view subject);
[[nodiscard]] bool planted(std::string_view defect);

#define CRASH_POINT(name) ::daybook::core::faults::crash_point(name)
#define POISON_POINT(subject) ::daybook::core::faults::poison_point(subject)
#define PLANTED(defect) ::daybook::core::faults::planted(defect)

#else

#define CRASH_POINT(name) static_cast<void>(0)
#define POISON_POINT(subject) static_cast<void>(0)
#define PLANTED(defect) false

#endif

}  // namespace daybook::core::faults
