#include "storage/redis_checks.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <sstream>

namespace daybook::storage {
namespace {

core::Failure wrong(const std::string& detail) {
  return core::fail(core::Code::misconfigured, core::Origin::buffer, core::Retry::safe, detail);
}

core::Failure passing(const std::string& detail) {
  return core::fail(core::Code::unavailable, core::Origin::buffer, core::Retry::safe, detail);
}

core::Failure setting(const std::string& name, const std::string& is, const std::string& why,
                      const std::string& mend) {
  return wrong("Redis setting " + name + " is '" + is + "': " + why +
               " Mend it with: redis-cli CONFIG SET " + name + " " + mend + " (and in redis.conf)");
}

std::string value_of(const std::map<std::string, std::string>& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? std::string() : found->second;
}

std::uint64_t to_number(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 10);
}

// "normal 0 0 0 slave 268435456 67108864 60 pubsub …": the replicas' hard limit in bytes, 0 where
// there is none. Redis lets a replica be behind by its backlog in any case.
std::uint64_t replica_output_limit(const std::map<std::string, std::string>& config) {
  std::istringstream words(value_of(config, "client-output-buffer-limit"));
  std::string kind;
  std::uint64_t hard = 0;
  std::uint64_t soft = 0;
  std::uint64_t seconds = 0;
  while (words >> kind >> hard >> soft >> seconds) {
    if (kind != "slave" && kind != "replica") continue;
    return hard == 0 ? 0 : std::max(hard, to_number(value_of(config, "repl-backlog-size")));
  }
  return 0;
}

// "slave0:ip=10.0.0.2,port=6379,state=online,…"
bool is_replica_line(const std::string& name) {
  return name.starts_with("slave") && name.size() > 5 && name[5] >= '0' && name[5] <= '9';
}
std::string field_of(const std::string& line, const std::string& name) {
  const std::size_t at = ("," + line).find("," + name + "=");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 1;
  return line.substr(begin, line.find(',', begin) - begin);
}

std::uint32_t replicas_online(const std::map<std::string, std::string>& info) {
  std::uint32_t online = 0;
  for (const auto& [name, value] : info) {
    if (is_replica_line(name) && field_of(value, "state") == "online") ++online;
  }
  return online;
}

}  // namespace

std::optional<std::uint32_t> replicas_of(std::string_view durability) {
  constexpr std::string_view kWord = "replicated:";
  if (!durability.starts_with(kWord) || durability.size() != kWord.size() + 1) return std::nullopt;
  const char digit = durability.back();
  if (digit < '1' || digit > '9') return std::nullopt;
  return static_cast<std::uint32_t>(digit - '0');
}

bool promises_fsync(std::string_view durability) {
  return durability == "fsync" || replicas_of(durability);
}

core::Result<void> check_redis(const RedisFacts& facts, const std::string& durability,
                               std::uint64_t record_bytes_max, bool finds_masters) {
  const auto config = [&](const char* name) { return value_of(facts.config, name); };
  const auto info = [&](const char* name) { return value_of(facts.info, name); };
  // Where replicas take a master's place, the others are a moment late.
  const auto short_of_replicas = [finds_masters](const std::string& detail) {
    return finds_masters ? passing(detail) : wrong(detail);
  };
  if (info("role") != "master") {
    if (finds_masters) return passing("it is no master at present; a failover is under way");
    return wrong("Redis is a '" + info("role") +
                 "', not a master: a replica takes no writes. Point buffer.url at the master.");
  }
  if (!finds_masters && info("cluster_enabled") == "1") {
    return wrong(
        "Redis is a node of a cluster, and the keys of other nodes are not here. Begin buffer.url "
        "with redis+cluster://");
  }
  if (info("loading") == "1") {
    constexpr const char* kLoading = "Redis is still loading its data; wait for it.";
    return finds_masters ? passing(kLoading) : wrong(kLoading);
  }
  if (config("maxmemory-policy") != "noeviction") {
    return setting("maxmemory-policy", config("maxmemory-policy"),
                   "eviction drops acknowledged records silently.", "noeviction");
  }
  const std::uint64_t bulk_max = to_number(config("proto-max-bulk-len"));
  if (bulk_max < record_bytes_max) {
    return setting("proto-max-bulk-len", config("proto-max-bulk-len"),
                   "the largest record would be refused.", std::to_string(2 * record_bytes_max));
  }
  if (promises_fsync(durability)) {
    if (config("appendonly") != "yes") {
      return setting("appendonly", config("appendonly"),
                     "acknowledged records would be lost with the process.", "yes");
    }
    if (config("appendfsync") != "always") {
      return setting("appendfsync", config("appendfsync"),
                     "a power cut would lose acknowledged records.", "always");
    }
    if (config("no-appendfsync-on-rewrite") != "no") {
      return setting("no-appendfsync-on-rewrite", config("no-appendfsync-on-rewrite"),
                     "while the AOF is rewritten nothing would be synced.", "no");
    }
    if (info("aof_last_write_status") != "ok") {
      return wrong("Redis could not write its AOF (aof_last_write_status is '" +
                   info("aof_last_write_status") + "'): free space on its disk.");
    }
  }
  const std::uint32_t online = replicas_online(facts.info);
  const std::uint64_t needed = to_number(config("min-replicas-to-write"));
  if (online < needed) {
    return short_of_replicas("Redis takes no writes: min-replicas-to-write is " +
                             std::to_string(needed) + " but " + std::to_string(online) +
                             " replicas are online. Start the replicas, or lower it.");
  }
  if (const auto wanted = replicas_of(durability)) {
    if (online < *wanted) {
      return short_of_replicas(
          "buffer.durability is " + durability + " but Redis has " + std::to_string(online) +
          " replicas online. Start one, or connect it with: redis-cli -h REPLICA "
          "REPLICAOF MASTER PORT; or ask for less with buffer.durability = fsync.");
    }
    const std::uint64_t limit = replica_output_limit(facts.config);
    if (limit != 0 && limit < 2 * record_bytes_max) {
      return setting("client-output-buffer-limit", config("client-output-buffer-limit"),
                     "a replica is disconnected by a few large records.",
                     "\"replica 256mb 64mb 60\"");
    }
  }
  const std::uint64_t memory_max = to_number(info("maxmemory"));
  const std::uint64_t memory_used = to_number(info("used_memory"));
  if (memory_max != 0 && memory_used + record_bytes_max > memory_max) {
    return core::fail(core::Code::out_of_space, core::Origin::buffer, core::Retry::safe,
                      "Redis uses " + std::to_string(memory_used) + " of maxmemory " +
                          std::to_string(memory_max) +
                          " bytes. Let the pipeline drain, or raise it with: redis-cli CONFIG SET "
                          "maxmemory BYTES");
  }
  return {};
}

std::vector<RedisAdvice> advise_redis(const RedisFacts& facts, const std::string& durability,
                                      std::uint64_t record_bytes_max, bool finds_masters) {
  const auto config = [&](const char* name) { return value_of(facts.config, name); };
  std::vector<RedisAdvice> advice;
  const auto add = [&](const char* name, const std::string& why, const std::string& value) {
    advice.push_back(
        {"redis " + std::string(name), "is " + config(name) + ": " + why,
         "redis-cli CONFIG SET " + std::string(name) + " " + value + " (and in redis.conf)"});
  };
  const bool replicated = replicas_of(durability).has_value();
  const std::uint32_t replicas = replicas_online(facts.info);
  if (finds_masters && !replicated && replicas > 0 && config("min-replicas-to-write") == "0") {
    add("min-replicas-to-write",
        "a master that is cut off from its replicas goes on acknowledging records, and loses them "
        "when one of these takes its place",
        "1");
  }
  if (replicas > 0 || replicated) {
    const std::uint64_t limit = replica_output_limit(facts.config);
    if (limit != 0 && limit < 8 * record_bytes_max) {
      add("client-output-buffer-limit", "a burst of large records disconnects a replica",
          "\"replica 1gb 256mb 60\"");
    }
    if (to_number(config("repl-backlog-size")) < 8 * record_bytes_max) {
      add("repl-backlog-size",
          "a replica that loses its connection for a moment needs a copy of everything", "256mb");
    }
  }
  if (replicated && to_number(config("repl-diskless-sync-delay")) != 0) {
    add("repl-diskless-sync-delay",
        "a replica that comes back waits so many seconds, in which replicated:N may not be reached",
        "0");
  }
  return advice;
}

bool has_waitaof(const std::map<std::string, std::string>& info) {
  unsigned major = 0;
  unsigned minor = 0;
  char dot = 0;
  std::istringstream version(value_of(info, "redis_version"));
  version >> major >> dot >> minor;
  return major > 7 || (major == 7 && minor >= 2);
}

std::vector<io::Endpoint> replicas_of_info(const std::map<std::string, std::string>& info) {
  std::vector<io::Endpoint> replicas;
  for (const auto& [name, value] : info) {
    if (!is_replica_line(name)) continue;
    const auto port = static_cast<std::uint16_t>(to_number(field_of(value, "port")));
    replicas.push_back({field_of(value, "ip"), port, {}});
  }
  return replicas;
}

core::Result<void> check_replicas(const std::vector<ReplicaFacts>& replicas,
                                  const std::string& durability, bool with_fsync) {
  const auto wanted = replicas_of(durability);
  if (!wanted || !with_fsync) return {};
  std::uint32_t able = 0;
  std::string unable;
  for (const ReplicaFacts& replica : replicas) {
    if (!replica.trouble.empty() || value_of(replica.config, "appendonly") == "yes") {
      ++able;
    } else {
      unable += (unable.empty() ? "" : ", ") + replica.address;
    }
  }
  if (able >= *wanted) return {};
  return wrong("buffer.durability is " + durability +
               ", and this Redis waits until its replicas have fsynced a record, but these have "
               "appendonly no: " +
               unable +
               ". Mend it there with: redis-cli CONFIG SET appendonly yes (and in redis.conf)");
}

std::vector<RedisAdvice> advise_replicas(const std::vector<ReplicaFacts>& replicas,
                                         const std::string& durability) {
  std::vector<RedisAdvice> advice;
  for (const ReplicaFacts& replica : replicas) {
    const std::string subject = "redis replica " + replica.address;
    if (!replica.trouble.empty()) {
      advice.push_back({subject, "could not be looked at: " + replica.trouble,
                        "Let this machine reach it: after a failover it is the master"});
      continue;
    }
    const std::pair<const char*, const char*> settings[] = {{"appendonly", "yes"},
                                                            {"appendfsync", "always"}};
    for (const auto& [name, value] : settings) {
      const std::string is = value_of(replica.config, name);
      if (is == value || !promises_fsync(durability)) continue;
      advice.push_back({subject,
                        "has " + std::string(name) + " " + is +
                            ": as a master, after a failover, it would be refused",
                        "There: redis-cli CONFIG SET " + std::string(name) + " " + value +
                            " (and in redis.conf)"});
    }
  }
  return advice;
}

std::map<std::string, std::string> parse_info(const std::string& text) {
  std::map<std::string, std::string> values;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = text.find("\r\n", at);
    if (end == std::string::npos) end = text.size();
    const std::string line = text.substr(at, end - at);
    const auto colon = line.find(':');
    if (colon != std::string::npos) values[line.substr(0, colon)] = line.substr(colon + 1);
    at = end + 2;
  }
  return values;
}

}  // namespace daybook::storage
