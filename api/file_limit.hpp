// FileLimit: how many client connections the limit on open files leaves room for. Pure, but for the
// question to the kernel.
#pragma once

#include <cstdint>

#include "core/config.hpp"

namespace daybook::api {

// Files that are not client connections: to Redis and the stores, and our own.
[[nodiscard]] std::uint64_t files_besides_clients(const core::Config& config);

// server.connections_max, or fewer where open_files_max does not allow so many.
[[nodiscard]] std::uint64_t connections_within(const core::Config& config,
                                               std::uint64_t open_files_max);

// RLIMIT_NOFILE of this process as it is now (`serve` raises it to the hard limit first).
[[nodiscard]] std::uint64_t open_files_max();

}  // namespace daybook::api
