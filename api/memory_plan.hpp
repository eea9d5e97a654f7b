// MemoryPlan: who uses this process's memory, and how much at worst, as a sum of named users. Each
// bound is kept somewhere else (a budget, a count); this is the one place that adds them up. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"

namespace daybook::api {

// Threads that hash and compress: the setting, or one a core.
[[nodiscard]] std::size_t worker_threads(const core::Config& config);

// Records in all stages together: the setting, or with segments as many as fill two of them.
[[nodiscard]] std::size_t records_in_flight(const core::Config& config);

struct MemoryUser {
  std::string name;
  std::uint64_t bytes_max = 0;
  std::string lower_by;  // the setting that makes it smaller; empty = it is fixed
};

[[nodiscard]] std::vector<MemoryUser> memory_users(const core::Config& config,
                                                   std::size_t worker_threads);
[[nodiscard]] std::uint64_t memory_sum(const std::vector<MemoryUser>& users);

// "payloads 512 MiB + ... = 965 MiB"
[[nodiscard]] std::string memory_text(const std::vector<MemoryUser>& users);

// Whether the sum keeps node.memory_max; the error names the setting whose user is the largest.
[[nodiscard]] core::Result<void> check_memory(const std::vector<MemoryUser>& users,
                                              std::uint64_t memory_max);

// What one answer of the feed takes of feed.memory_max while it is made: a page of so many bytes,
// and a last entry with a payload of so many.
[[nodiscard]] std::uint64_t feed_answer_bytes(std::uint64_t page_bytes,
                                              std::uint64_t payload_bytes);

}  // namespace daybook::api
