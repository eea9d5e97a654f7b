// `daybook size`: flags with units -> SizeLoad -> SizePlan -> a table and the settings to write
// down. Asks no server and reads nothing but the samples it is given.
#pragma once

#include <string>
#include <vector>

#include "api/size_plan.hpp"
#include "core/result.hpp"

namespace daybook::api {

// As they were typed; empty = not given.
struct SizeOptions {
  std::string records_per_second, average_per_second, size, compression;
  std::vector<std::string> samples;
  std::string outage, redis_outage, retention, idempotency_window;
  std::string replicas, nodes, cores, redis_memory, network, store_put, archive, layout;
  bool without_keys = false;
  bool json = false;
};

// Reads the samples. An error is one sentence that names the flag and what would be right.
[[nodiscard]] core::Result<SizeLoad> load_of(const SizeOptions& options);
[[nodiscard]] std::string render_size(const SizePlan& plan);
[[nodiscard]] std::string size_json(const SizePlan& plan);

[[nodiscard]] int run_size(const SizeOptions& options);

}  // namespace daybook::api
