// What Redis must be set to so that an acknowledgement is true, as a pure function over what Redis
// answered. Each finding names the setting and the command that mends it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "io/stream.hpp"

namespace daybook::storage {

// What CONFIG GET is asked for; a server that does not know one of them says nothing about it.
inline constexpr std::string_view kRedisSettings[] = {"appendonly",
                                                      "appendfsync",
                                                      "maxmemory-policy",
                                                      "no-appendfsync-on-rewrite",
                                                      "proto-max-bulk-len",
                                                      "auto-aof-rewrite-min-size",
                                                      "repl-backlog-size",
                                                      "client-output-buffer-limit",
                                                      "min-replicas-to-write",
                                                      "repl-diskless-sync-delay"};

struct RedisFacts {
  std::map<std::string, std::string> config;  // CONFIG GET
  std::map<std::string, std::string> info;    // INFO
};

// N of "replicated:N", 1 to 9; nullopt for any other text.
[[nodiscard]] std::optional<std::uint32_t> replicas_of(std::string_view durability);
// Redis must have fsynced before it answers.
[[nodiscard]] bool promises_fsync(std::string_view durability);

// durability: "fsync", "replicated:N" or "memory". record_bytes_max: the largest value that will be
// appended. finds_masters: whoever asks goes to another server when this one is no master.
[[nodiscard]] core::Result<void> check_redis(const RedisFacts& facts, const std::string& durability,
                                             std::uint64_t record_bytes_max,
                                             bool finds_masters = false);

// A setting that breaks nothing now, but will cost something: for start-up, status and doctor.
struct RedisAdvice {
  std::string subject;  // "redis min-replicas-to-write"
  std::string detail;   // "is 0: …"
  std::string mend;
};
[[nodiscard]] std::vector<RedisAdvice> advise_redis(const RedisFacts& facts,
                                                    const std::string& durability,
                                                    std::uint64_t record_bytes_max,
                                                    bool finds_masters);

// Whether the server can wait for its replicas' fsync (Redis 7.2, and Valkey, which names that
// version, too).
[[nodiscard]] bool has_waitaof(const std::map<std::string, std::string>& info);

// The replicas that a master's INFO names.
[[nodiscard]] std::vector<io::Endpoint> replicas_of_info(
    const std::map<std::string, std::string>& info);
struct ReplicaFacts {
  std::string address;
  std::map<std::string, std::string> config;
  std::string trouble;  // why it could not be asked; empty: it was
};
// with_fsync: each append waits until the replicas have fsynced it, too.
[[nodiscard]] core::Result<void> check_replicas(const std::vector<ReplicaFacts>& replicas,
                                                const std::string& durability, bool with_fsync);
[[nodiscard]] std::vector<RedisAdvice> advise_replicas(const std::vector<ReplicaFacts>& replicas,
                                                       const std::string& durability);

// "name:value" lines of INFO.
[[nodiscard]] std::map<std::string, std::string> parse_info(const std::string& text);

}  // namespace daybook::storage
