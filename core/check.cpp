#include "core/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace daybook::core {

void check_failed(const char* condition, std::source_location where) {
  std::fprintf(stderr, "CHECK failed: %s at %s:%u in %s\n", condition, where.file_name(),
               static_cast<unsigned>(where.line()), where.function_name());
  std::abort();
}

}  // namespace daybook::core
