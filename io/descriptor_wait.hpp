// Waiting for a socket that a client library owns (libpq): until the kernel says that it can be
// read or written, or a deadline passes. The library does the reading and writing. I/O thread only.
#pragma once

#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::io {

class IoRuntime;

enum class Readiness { readable, writable, either };

// True: it is ready, or broken, which the next call on it will tell. False: the deadline passed.
// The library may close the descriptor meanwhile: the wait is on a duplicate of it. An Error
// (origin self) only where there is none to be had.
[[nodiscard]] core::Task<core::Result<bool>> wait_until_ready(IoRuntime& runtime, int descriptor,
                                                              Readiness wanted,
                                                              core::Deadline deadline);

}  // namespace daybook::io
