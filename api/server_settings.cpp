#include "api/server_settings.hpp"

#include "api/file_limit.hpp"
#include "core/limits.hpp"
#include "core/record_id.hpp"

namespace daybook::api {
namespace {

// A sealed record is at most this much larger than its payload: envelope, seek table, zstd's
// overhead.
constexpr std::uint64_t kSealedOverhead = core::limits::kEnvelopeBytesMax + 64 * core::KiB;

constexpr auto kReconnectGrace = std::chrono::milliseconds(500);

}  // namespace

core::Result<storage::RedisBufferSettings> buffer_settings(const core::Config& config,
                                                           const std::string& node) {
  auto server = storage::redis_target(config);
  if (!server) return pass(std::move(server));
  storage::RedisBufferSettings settings;
  settings.server = std::move(*server);
  settings.prefix = config.buffer_prefix;
  settings.partitions = static_cast<std::uint32_t>(config.buffer_partitions);
  settings.durability = config.buffer_durability;
  settings.node = node;
  const auto now =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  settings.run = core::RecordIdGenerator().next(now, 0).str();
  settings.append_connections = config.buffer_append_connections;
  settings.replica_timeout = config.buffer_replica_timeout;
  settings.check_interval = config.buffer_check_interval;
  // Where a record has another way, it does not wait long for a Redis that went away.
  const bool other_way = config.spool_bytes_max > 0 || config.spool_direct_archive;
  settings.reconnect_grace = other_way ? kReconnectGrace : config.buffer_append_timeout;
  settings.idempotency_window = config.ingest_idempotency_window;
  settings.reservation_lease = config.ingest_reservation_lease;
  settings.memory_reserve = config.buffer_memory_reserve;
  settings.record_bytes_max = config.ingest_body_bytes_max + kSealedOverhead;
  return settings;
}

io::HttpServerSettings http_settings(const core::Config& config) {
  return {.connections_max = connections_within(config, open_files_max()),
          .connections_per_address_max = config.server_connections_per_address_max,
          .header_timeout = config.server_header_timeout,
          .idle_timeout = config.server_idle_timeout,
          .body_idle_timeout = config.server_body_idle_timeout,
          .body_timeout = config.server_body_timeout,
          .body_rate_min = config.server_body_rate_min,
          .write_timeout = config.server_write_timeout};
}

core::pipeline::SegmentSettings segment_settings(const core::Config& config, Metrics& metrics) {
  if (config.archive_layout != "segment") return {};
  for (const char* reason : {"size", "records", "age", "memory", "stop"}) {
    metrics.add(metrics.segments, {{"cut", reason}}, 0);
  }
  core::pipeline::SegmentSettings settings;
  settings.bytes_max = config.archive_segment_bytes;
  settings.records_max = config.archive_segment_records;
  settings.age = config.archive_segment_age;
  settings.memory_max = 2 * config.archive_segment_bytes;
  settings.retry = {static_cast<std::uint32_t>(config.pipeline_attempts_max),
                    config.pipeline_retry_first, config.pipeline_retry_max};
  settings.on_put = [&metrics](std::string_view reason, std::size_t records, std::uint64_t bytes) {
    metrics.add(metrics.segments, {{"cut", std::string(reason)}});
    metrics.add(metrics.segment_records, {}, static_cast<double>(records));
    metrics.add(metrics.segment_bytes, {}, static_cast<double>(bytes));
  };
  return settings;
}

}  // namespace daybook::api
