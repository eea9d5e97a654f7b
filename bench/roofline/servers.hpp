// The servers of the ceiling: each receives payloads, hashes and compresses them in blocks of
// 1 MiB exactly as the product does (compress_frame, Sha256Hasher), throws the frames away and
// answers. They know no HTTP, no Redis and no disk, so the best of them is what is left for a
// server to reach on this machine. Work::discard only receives.
//
//   thread_per_connection   blocking receive; each piece is hashed while it is in the cache
//   thread_per_core         one epoll for all; two full blocks are hashed side by side
//   product_parts           IoRuntime, PayloadSealer and WorkerPool, one worker per core
#pragma once

#include <string_view>
#include <vector>

#include "bench/roofline/exchange.hpp"

namespace daybook::bench::roofline {

enum class Work { discard, seal };

struct NamedServer {
  std::string_view name;
  Server serve;
};

[[nodiscard]] Server thread_per_connection(Work work);
[[nodiscard]] Server thread_per_core(Work work, std::size_t threads);
[[nodiscard]] Server product_parts(std::size_t threads);  // seals

// zstd level of the product's default configuration.
[[nodiscard]] int product_level();

}  // namespace daybook::bench::roofline
