#include "storage/redis_checks.hpp"

#include <cstdint>
#include <cstdlib>

namespace daybook::storage {
namespace {

core::Failure wrong(const std::string& detail) {
  return core::fail(core::Code::misconfigured, core::Origin::buffer, core::Retry::safe, detail);
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

std::uint32_t replicas_online(const std::map<std::string, std::string>& info) {
  std::uint32_t online = 0;
  for (const auto& [name, value] : info) {
    const bool replica = name.starts_with("slave") && name.size() > 5 && name[5] >= '0' &&
                         name[5] <= '9';  // not slave_repl_offset and the like
    if (replica && value.find("state=online") != std::string::npos) ++online;
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
                               std::uint64_t record_bytes_max) {
  const auto config = [&](const char* name) { return value_of(facts.config, name); };
  const auto info = [&](const char* name) { return value_of(facts.info, name); };
  if (info("role") != "master") {
    return wrong("Redis is a '" + info("role") +
                 "', not a master: a replica takes no writes. Point buffer.url at the master.");
  }
  if (info("loading") == "1") return wrong("Redis is still loading its data; wait for it.");
  if (config("maxmemory-policy") != "noeviction") {
    return setting("maxmemory-policy", config("maxmemory-policy"),
                   "eviction drops acknowledged records silently.", "noeviction");
  }
  const std::uint64_t bulk_max = std::strtoull(config("proto-max-bulk-len").c_str(), nullptr, 10);
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
  if (const auto wanted = replicas_of(durability)) {
    const std::uint32_t online = replicas_online(facts.info);
    if (online < *wanted) {
      return wrong("buffer.durability is " + durability + " but Redis has " +
                   std::to_string(online) +
                   " replicas online. Start one, or connect it with: redis-cli -h REPLICA "
                   "REPLICAOF MASTER PORT; or ask for less with buffer.durability = fsync.");
    }
  }
  const std::uint64_t memory_max = std::strtoull(info("maxmemory").c_str(), nullptr, 10);
  const std::uint64_t memory_used = std::strtoull(info("used_memory").c_str(), nullptr, 10);
  if (memory_max != 0 && memory_used + record_bytes_max > memory_max) {
    return core::fail(core::Code::out_of_space, core::Origin::buffer, core::Retry::safe,
                      "Redis uses " + std::to_string(memory_used) + " of maxmemory " +
                          std::to_string(memory_max) +
                          " bytes. Let the pipeline drain, or raise it with: redis-cli CONFIG SET "
                          "maxmemory BYTES");
  }
  return {};
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
