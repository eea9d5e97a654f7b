// Names to addresses, off the I/O thread and with a deadline. Every lookup has a thread of its own,
// so that a name whose servers are silent holds up nobody else's.
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

// The runtime goes; answers to what it asked go nowhere.
void forget_lookups(const IoRuntime& runtime);

}  // namespace daybook::io
