// CHECK: "we failed". It guards invariants of our own code and stays on in release builds, because
// a server that goes on after a broken invariant can lose a record it has acknowledged.
// Never CHECK wire input: the world's failures are a Result (result.hpp).
#pragma once

#include <source_location>

namespace daybook::core {

// Prints the broken condition with its place and aborts.
[[noreturn]] void check_failed(const char* condition, std::source_location where);

}  // namespace daybook::core

#define CHECK(condition)        \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::daybook::core::check_failed(#condition, std::source_location::current()))
