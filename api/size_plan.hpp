// SizePlan: how much memory, disk, requests and CPU a load needs, and which limit it meets first.
// Pure; the figures it multiplies with are in size_constants.hpp. Rates are of the whole system
// unless a name says node. MB and GB are powers of 1000.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "api/memory_plan.hpp"

namespace daybook::api {

struct SizeLoad {
  double records_per_second = 0;  // when it is busiest
  double average_per_second = 0;  // over a day; 0 = the same
  double payload_bytes = 0;       // of one record
  double compression = 1;         // payload over compressed payload
  double outage_seconds = 1800;   // of the object store
  double redis_outage_seconds = 1800;
  double key_seconds = 7 * 86400.0;  // ingest.idempotency_window
  bool keyed = true;                 // every request carries an idempotency key
  double retention_days = 365;
  std::uint32_t replicas = 0;  // of Redis
  std::uint32_t nodes = 1;
  std::uint32_t cores = 2;         // of a node, Redis's included where it runs there
  double redis_host_bytes = 0;     // memory of Redis's host; 0 = unknown
  double network_bits = 10e9;      // a second, each way, of a node
  double store_put_seconds = 0.1;  // one PUT of such a record
  bool s3 = true;
  bool segments = false;  // archive.layout
};

// One thing that can be full. used and full are in `unit`.
struct SizeLimit {
  std::string name;
  std::string unit;
  double used = 0;
  double full = 0;
  std::string way_out;  // what an operator does about it

  [[nodiscard]] double share() const { return used / full; }
};

struct SizeSetting {
  std::string name;  // "section.name", or Redis's own word
  std::string value;
};

struct SizePlan {
  SizeLoad load;

  // One record, in bytes.
  double stored_bytes = 0;
  double redis_bytes = 0;  // while it waits, without its key

  // Redis, one copy.
  double backlog_records = 0;
  double backlog_bytes = 0;  // of used_memory
  double keys = 0;
  double keys_bytes = 0;
  double redis_used = 0;  // used_memory at the end of the outage
  double redis_maxmemory = 0;
  double redis_host_memory = 0;
  double aof_bytes_per_second = 0;
  double aof_backlog_bytes = 0;  // what the outage adds to the append-only file
  double aof_rewrite_min = 0;
  double redis_disk = 0;
  double backlog_of_replica = 0;  // repl-backlog-size; 0 without replicas
  double catch_up_seconds = 0;    // from the outage's end to an empty buffer; < 0 = never

  // Each node.
  double spool_records = 0;
  double spool_bytes = 0;
  double trail_bytes = 0;
  double node_disk = 0;
  std::vector<MemoryUser> memory;
  double cores = 0;
  double network_in_bits = 0;
  double network_out_bits = 0;

  // Archive and index, of all nodes.
  double records_per_day = 0;
  double records_per_object = 1;  // when it is busiest; more than 1 with segments
  double objects_per_day = 0;
  double archive_bytes_per_day = 0;
  double archive_bytes_kept = 0;
  double objects_kept = 0;
  double puts_per_second = 0;
  double puts_per_day = 0;
  double gets_per_day = 0;
  double heads_per_day = 0;
  double row_bytes_per_day = 0;
  double row_bytes_kept = 0;

  std::vector<SizeSetting> daybook_settings;
  std::vector<SizeSetting> redis_settings;
  std::vector<SizeLimit> limits;  // the fullest first
  std::uint32_t nodes_needed = 1;
};

// defaults: what the settings are that the plan does not choose.
[[nodiscard]] SizePlan plan_size(const SizeLoad& load, const core::Config& defaults);

}  // namespace daybook::api
