// Names to addresses, off the I/O thread and with a deadline, for client libraries that would look
// them up in line.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::io {

class IoRuntime;

// The addresses of a host in the resolver's order, at least one; a literal address is itself.
[[nodiscard]] core::Task<core::Result<std::vector<std::string>>> resolve(IoRuntime& runtime,
                                                                         std::string host,
                                                                         core::Origin origin,
                                                                         core::Deadline deadline);

}  // namespace daybook::io
