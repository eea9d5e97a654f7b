#include "api/size_plan.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "api/size_constants.hpp"
#include "core/limits.hpp"
#include "core/pipeline/segment_writer.hpp"
#include "core/text.hpp"
#include "storage/spool.hpp"

namespace daybook::api {
namespace {

using namespace size_constants;

constexpr double kDay = 86400;
constexpr double kMiB = static_cast<double>(core::MiB);

// Next multiple of `step`, so that a setting reads well.
std::uint64_t rounded_up(double bytes, double step) {
  return static_cast<std::uint64_t>(std::ceil(bytes / step) * step);
}

std::uint64_t rounded_setting(double bytes) {
  const double step = bytes > 64 * 1024 * kMiB ? 1024 * kMiB
                      : bytes > 1024 * kMiB    ? 256 * kMiB
                                               : 64 * kMiB;
  return rounded_up(bytes, step);
}

// Redis reads 8gb and 256mb as powers of 1024.
std::string redis_size(double bytes) {
  return std::to_string(static_cast<std::uint64_t>(std::ceil(bytes / kMiB))) + "mb";
}

double blocks_of(const SizeLoad& load) {
  return std::ceil(load.payload_bytes / static_cast<double>(core::limits::kBlockBytes));
}

double seconds(core::ConfigTime time) {
  return std::chrono::duration<double>(time).count();
}

// Of one node, of records of one kind and tenant, whose clients never pause.
double records_in_segment(const SizeLoad& load, double per_second, double stored_bytes,
                          const core::Config& config) {
  const auto bytes_max = static_cast<double>(config.archive_segment_bytes);
  if (!load.segments || !core::pipeline::SegmentWriter::shares(stored_bytes, bytes_max)) return 1;
  const double by_age = per_second / load.nodes * seconds(config.archive_segment_age);
  return std::clamp(std::min(bytes_max / stored_bytes, by_age), 1.0,
                    static_cast<double>(config.archive_segment_records));
}

void plan_redis(SizePlan& plan, const core::Config& defaults) {
  const SizeLoad& load = plan.load;
  // Those that the outage parked are tried again this much later.
  const double retry = load.outage_seconds > 0 ? seconds(defaults.pipeline_parked_retry) : 0;
  plan.backlog_records = load.records_per_second * (load.outage_seconds + retry);
  const bool parks = load.outage_seconds > 0;
  plan.redis_bytes =
      plan.stored_bytes * kRedisRounding + kRedisEntryBytes + (parks ? kRedisParkedBytes : 0);
  plan.backlog_bytes = plan.backlog_records * plan.redis_bytes;
  // Keys are kept from the acknowledgement on, so a busy time counts only as long as it lasts.
  plan.keys = load.keyed ? load.average_per_second * load.key_seconds +
                               (load.records_per_second - load.average_per_second) *
                                   std::min(load.outage_seconds, load.key_seconds)
                         : 0;
  plan.keys_bytes = plan.keys * kRedisKeyBytes;
  plan.aof_bytes_per_second =
      load.records_per_second * (plan.stored_bytes + kAofAppendBytes + kAofReleaseBytes);
  plan.aof_backlog_bytes =
      plan.backlog_records * (plan.stored_bytes + kAofAppendBytes + (parks ? kAofParkBytes : 0));
  if (load.replicas > 0) {  // a replica that is away for a minute need not copy everything
    plan.backlog_of_replica = static_cast<double>(rounded_setting(60 * plan.aof_bytes_per_second));
  }
  // Also without an outage some records are on their way through.
  double passing =
      static_cast<double>(defaults.buffer_append_connections + defaults.pipeline_records_in_flight);
  // Those that wait for their segment are still in Redis.
  if (load.segments) passing += load.nodes * plan.records_per_object;
  plan.redis_used = kRedisBaseBytes + passing * plan.redis_bytes + plan.backlog_bytes +
                    plan.keys_bytes + plan.backlog_of_replica;
  // Above it stays buffer.memory_reserve, and a tenth for what the plan does not foresee.
  const auto reserve = static_cast<double>(defaults.buffer_memory_reserve);
  plan.redis_maxmemory = static_cast<double>(rounded_setting(plan.redis_used * 1.1 + reserve));
  // A rewrite's child shares its pages with Redis. What arrives meanwhile may go to pages that
  // released records left, which are copied first.
  const double rewrite_seconds = plan.redis_used / kRewriteBytesASecond;
  const double copied = std::min(plan.redis_used, plan.aof_bytes_per_second * rewrite_seconds);
  plan.redis_host_memory = plan.redis_maxmemory + copied + 256 * kMiB;
  // An hour of appends, but no more than 8 GiB (design: rewrites cost 17 to 30% of the speed).
  plan.aof_rewrite_min = static_cast<double>(
      rounded_setting(std::clamp(3600 * plan.aof_bytes_per_second, 64 * kMiB, 8192 * kMiB)));
  // While it is rewritten there are the old file, the new one, and what arrives. A rewrite begins
  // when the file is as large as the minimum and twice what the last one left.
  plan.redis_disk = 1.1 * (std::max(plan.aof_rewrite_min, 2 * plan.redis_used) + plan.redis_used +
                           rewrite_seconds * plan.aof_bytes_per_second);
  // archive_concurrency is chosen for twice the busiest rate (config_of).
  const double in_store = load.s3
                              ? 2 * std::max(load.records_per_second,
                                             4 / load.store_put_seconds * plan.records_per_object)
                              : 1e12;
  const double drain_bytes = load.s3 ? kDrainBytesASecondS3 : kDrainBytesASecondFile;
  const double drain = std::min(
      {load.nodes * drain_bytes / load.payload_bytes, load.nodes * kDrainRecordsASecond, in_store});
  plan.catch_up_seconds = drain > load.records_per_second
                              ? plan.backlog_records / (drain - load.records_per_second)
                              : -1;
}

void plan_stores(SizePlan& plan, const core::Config& defaults) {
  const SizeLoad& load = plan.load;
  const double a_day = load.average_per_second * kDay;
  plan.records_per_day = a_day;
  plan.objects_per_day =
      a_day / records_in_segment(load, load.average_per_second, plan.stored_bytes, defaults);
  plan.archive_bytes_per_day = a_day * plan.stored_bytes;
  plan.objects_kept = plan.objects_per_day * load.retention_days;
  plan.archive_bytes_kept = plan.archive_bytes_per_day * load.retention_days;
  if (load.s3) {
    plan.puts_per_second = load.records_per_second / plan.records_per_object;
    plan.puts_per_day = plan.objects_per_day;
    plan.gets_per_day = load.nodes * kDay / seconds(defaults.audit_interval);
    plan.heads_per_day = load.nodes * kDay / 10;  // the readiness probe, every 10 s
  }
  const double row = kRowBytes + (blocks_of(load) - 1) * kRowBytesABlock;
  plan.row_bytes_per_day = a_day * row;
  plan.row_bytes_kept = plan.row_bytes_per_day * load.retention_days;
}

core::Config config_of(const SizePlan& plan, core::Config config) {
  const SizeLoad& load = plan.load;
  const auto count = [](double number) {
    return static_cast<std::uint64_t>(std::ceil(std::min(number, 1000.0)));
  };
  // Twice the busiest rate in the store at a time, so that a backlog shrinks while records come.
  const double at_a_time =
      2 * load.records_per_second / plan.records_per_object / load.nodes * load.store_put_seconds;
  if (load.segments) config.archive_layout = "segment";
  if (load.s3 && at_a_time > static_cast<double>(config.pipeline_archive_concurrency)) {
    config.pipeline_archive_concurrency = count(at_a_time);
    config.archive_s3_connections = std::max(config.archive_s3_connections, count(at_a_time));
    config.pipeline_records_in_flight =
        std::max(config.pipeline_records_in_flight, 2 * config.pipeline_archive_concurrency);
  }
  if (load.payload_bytes > static_cast<double>(config.ingest_body_bytes_max)) {
    config.ingest_body_bytes_max = rounded_up(load.payload_bytes, kMiB);
  }
  config.spool_bytes_max = rounded_setting(1.1 * plan.spool_bytes);
  config.ingest_idempotency_window =
      std::chrono::milliseconds(std::llround(load.key_seconds * 1000));
  return config;
}

void plan_node(SizePlan& plan, const core::Config& defaults) {
  const SizeLoad& load = plan.load;
  const double records = load.records_per_second / load.nodes;
  plan.spool_records = records * load.redis_outage_seconds;
  plan.spool_bytes = plan.spool_records * (plan.stored_bytes + kSpoolBytes);
  const core::Config config = config_of(plan, defaults);
  plan.trail_bytes =
      load.average_per_second / load.nodes * seconds(config.trail_keep) * kTrailBytes;
  plan.memory = memory_users(config, load.cores);
  // Salvaged payloads and logs have the reserve's other half.
  plan.node_disk = static_cast<double>(config.spool_bytes_max) + plan.trail_bytes +
                   2 * static_cast<double>(config.node_disk_reserve) +
                   (load.nodes == 1 ? plan.row_bytes_kept : 0) +
                   (load.s3 ? 0 : plan.archive_bytes_kept);
  plan.cores =
      records * (kCpuSecondsARecord +
                 load.payload_bytes / 1e9 * (load.s3 ? kCpuSecondsAGbS3 : kCpuSecondsAGbFile));
  const double wire = plan.stored_bytes + kAofAppendBytes;
  plan.network_in_bits = records * 8 * load.payload_bytes;
  plan.network_out_bits = records * 8 * (wire + (load.s3 ? plan.stored_bytes : 0));
}

void plan_settings(SizePlan& plan, const core::Config& defaults) {
  const core::Config config = config_of(plan, defaults);
  const SizeLoad& load = plan.load;
  auto& ours = plan.daybook_settings;
  const auto size = [&](const char* name, std::uint64_t bytes) {
    ours.push_back({name, core::format_size(bytes)});
  };
  const auto count = [&](const char* name, std::uint64_t number) {
    ours.push_back({name, std::to_string(number)});
  };
  size("node.memory_max", rounded_setting(static_cast<double>(memory_sum(plan.memory))));
  size("ingest.body_bytes_max", config.ingest_body_bytes_max);
  ours.push_back({"ingest.idempotency_window",
                  core::format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(
                      config.ingest_idempotency_window))});
  ours.push_back({"buffer.durability",
                  load.replicas == 0 ? "fsync" : "replicated:" + std::to_string(load.replicas)});
  size("spool.bytes_max", config.spool_bytes_max);
  count("server.worker_threads", load.cores);
  if (load.segments) ours.push_back({"archive.layout", "segment"});
  if (load.s3) {
    count("pipeline.archive_concurrency", config.pipeline_archive_concurrency);
    count("pipeline.records_in_flight", config.pipeline_records_in_flight);
    count("archive.s3_connections", config.archive_s3_connections);
  }
  plan.redis_settings = {{"maxmemory", redis_size(plan.redis_maxmemory)},
                         {"maxmemory-policy", "noeviction"},
                         {"appendonly", "yes"},
                         {"appendfsync", "always"},
                         {"no-appendfsync-on-rewrite", "no"},
                         {"auto-aof-rewrite-min-size", redis_size(plan.aof_rewrite_min)},
                         {"auto-aof-rewrite-percentage", "100"},
                         {"save", "\"\""}};
  if (load.replicas == 0) return;
  const std::string limit = redis_size(2 * plan.backlog_of_replica);
  plan.redis_settings.push_back({"repl-backlog-size", redis_size(plan.backlog_of_replica)});
  plan.redis_settings.push_back(
      {"client-output-buffer-limit", "replica " + limit + " " + limit + " 0"});
  plan.redis_settings.push_back({"min-replicas-to-write", std::to_string(load.replicas)});
}

void plan_limits(SizePlan& plan) {
  const SizeLoad& load = plan.load;
  const double records = load.records_per_second / load.nodes;
  plan.limits = {
      {"CPU of a node", "cores", plan.cores, static_cast<double>(load.cores),
       "more cores, or more nodes"},
      {"records of a node", "records/s", records, kRecordsASecondOfANode, "more nodes"},
      {"network into a node", "Mbit/s", plan.network_in_bits / 1e6, load.network_bits / 1e6,
       "more nodes, or a faster network"},
      {"network out of a node", "Mbit/s", plan.network_out_bits / 1e6, load.network_bits / 1e6,
       "more nodes, or a faster network"},
      {"append-only file of Redis", "MB/s", plan.aof_bytes_per_second / 1e6,
       kRedisBytesASecond / 1e6, "a faster disk, or a second Redis with its own Daybook"},
      {"CPU of Redis", "cores", load.records_per_second * kRedisCpuSecondsARecord, 1,
       "larger records, or a second Redis with its own Daybook"},
      {"records in a node's spool", "records", plan.spool_records,
       static_cast<double>(storage::Spool::kRecordsMax),
       "more nodes, or plan for a shorter outage of Redis"}};
  if (load.redis_host_bytes > 0) {
    plan.limits.push_back({"memory of Redis's host", "GB", plan.redis_host_memory / 1e9,
                           load.redis_host_bytes / 1e9,
                           "more memory, a shorter --idempotency-window, or a shorter outage"});
  }
  if (load.s3) {
    plan.limits.push_back({"objects being written by a node", "objects",
                           2 * records / plan.records_per_object * load.store_put_seconds, 1000,
                           "more nodes, or a nearer object store"});
  }
  std::ranges::sort(plan.limits, std::greater<>(), &SizeLimit::share);
  // Redis is one, however many nodes there are.
  for (const SizeLimit& limit : plan.limits) {
    if (limit.name.find("Redis") != std::string::npos) continue;
    plan.nodes_needed =
        std::max(plan.nodes_needed,
                 static_cast<std::uint32_t>(std::ceil(limit.share() * load.nodes / kFullShare)));
  }
}

}  // namespace

SizePlan plan_size(const SizeLoad& load, const core::Config& defaults) {
  SizePlan plan;
  plan.load = load;
  if (load.average_per_second == 0) plan.load.average_per_second = load.records_per_second;
  plan.stored_bytes = load.payload_bytes / load.compression + kSealedBytes +
                      (blocks_of(load) - 1) * kSealedBytesABlock;
  plan.records_per_object =
      records_in_segment(plan.load, load.records_per_second, plan.stored_bytes, defaults);
  plan_redis(plan, defaults);
  plan_stores(plan, defaults);
  plan_node(plan, defaults);
  plan_settings(plan, defaults);
  plan_limits(plan);
  return plan;
}

}  // namespace daybook::api
