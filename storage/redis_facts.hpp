// Asks servers what redis_checks judges: settings, figures, permissions; and the replicas'
// settings.
#pragma once

#include <string>
#include <vector>

#include "storage/redis_checks.hpp"
#include "storage/redis_router.hpp"

namespace daybook::storage {

// The settings that the checks know, and INFO.
[[nodiscard]] core::Task<core::Result<RedisFacts>> read_redis_facts(RedisRouter& router,
                                                                    io::Endpoint master,
                                                                    core::Deadline deadline);

// Whether our user may run every command that the buffer uses, on keys like `key`, which the master
// serves. Nothing is run: the commands are queued in a transaction that is made to fail. The error
// names those that are refused.
[[nodiscard]] core::Task<core::Result<void>> probe_access(RedisRouter& router, io::Endpoint master,
                                                          std::string key, bool with_wait,
                                                          core::Deadline deadline);

// A replica that cannot be asked is among the answers, with the reason.
[[nodiscard]] core::Task<std::vector<ReplicaFacts>> read_replicas(
    RedisRouter& router, std::vector<io::Endpoint> replicas, core::Deadline deadline);

}  // namespace daybook::storage
