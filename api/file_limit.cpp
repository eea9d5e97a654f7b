#include "api/file_limit.hpp"

#include <algorithm>

#include <sys/resource.h>

#include "storage/redis_target.hpp"

namespace daybook::api {
namespace {

constexpr std::uint64_t kOwnFiles = 64;  // trail, SQLite, rings, standard streams, with room

// A cluster has at least as many masters as its address names nodes, as a rule.
std::uint64_t buffer_files(const core::Config& config) {
  constexpr std::uint64_t kOtherLanes = 9;
  const auto target = storage::parse_redis_url(config.buffer_url);
  if (!target || target->kind != storage::RedisTarget::Kind::cluster) {
    return config.buffer_append_connections;
  }
  return target->addresses.size() * (config.buffer_append_connections + kOtherLanes);
}

}  // namespace

std::uint64_t files_besides_clients(const core::Config& config) {
  // A wait on one of PostgreSQL's sockets has a descriptor of its own.
  const std::uint64_t metadata =
      config.metadata_kind == "postgresql" ? 2 * config.metadata_postgresql_connections
      : config.metadata_kind == "dynamodb" ? config.metadata_dynamodb_connections
                                           : 0;
  std::uint64_t subscribers = 0;
  for (const core::SubscriberConfig& one : config.subscribers) subscribers += one.parallel + 1;
  return subscribers + buffer_files(config) + config.archive_s3_connections +
         config.pipeline_archive_concurrency + metadata + kOwnFiles;
}

std::uint64_t connections_within(const core::Config& config, std::uint64_t open_files_max) {
  // Where the limit is tight, clients still get half of it: not all of the others are open at once.
  const std::uint64_t others = std::min(files_besides_clients(config), open_files_max / 2);
  return std::max<std::uint64_t>(1,
                                 std::min(config.server_connections_max, open_files_max - others));
}

std::uint64_t open_files_max() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 1024;
  return files.rlim_cur;
}

}  // namespace daybook::api
