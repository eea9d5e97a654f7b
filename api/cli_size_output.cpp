// How `daybook size` shows its plan: one table, two files' worth of settings, what is full first.
#include <array>
#include <cmath>
#include <cstdio>

#include <boost/json.hpp>

#include "api/cli_output.hpp"
#include "api/cli_size.hpp"
#include "api/size_constants.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;

std::string bytes(double count) {
  return human_bytes(static_cast<std::uint64_t>(std::llround(count)));
}

// "12", "1,234", "5.18 million": what a person reads.
std::string count(double number) {
  std::array<char, 32> text{};
  if (number >= 1e9) {
    std::snprintf(text.data(), text.size(), "%.3g billion", number / 1e9);
  } else if (number >= 1e6) {
    std::snprintf(text.data(), text.size(), "%.3g million", number / 1e6);
  } else if (number >= 99.5) {
    std::snprintf(text.data(), text.size(), "%.0f", number);
  } else {
    std::snprintf(text.data(), text.size(), "%.3g", number);
  }
  return text.data();
}

std::string percent(double share) {
  return count(std::round(share * 1000) / 10) + "%";
}

std::string megabits(double bits) {
  return count(bits / 1e6) + " Mbit/s";
}

std::string head(const SizeLoad& load) {
  std::string text = count(load.records_per_second) + " records/s of " + bytes(load.payload_bytes) +
                     ", compressed " + count(load.compression) + ":1; the object store away for " +
                     human_seconds(load.outage_seconds) + ", Redis for " +
                     human_seconds(load.redis_outage_seconds) + "\n";
  if (load.average_per_second != load.records_per_second) {
    text += "figures a day from an average of " + count(load.average_per_second) + " records/s\n";
  }
  return text;
}

void add_redis(Table& table, const SizePlan& plan) {
  const SizeLoad& load = plan.load;
  const std::string copies =
      load.replicas == 0 ? "" : ", on each of " + std::to_string(load.replicas + 1) + " servers";
  table.add({"Redis memory used", bytes(plan.redis_used),
             bytes(plan.backlog_bytes) + " for " + count(plan.backlog_records) +
                 " waiting records, " + bytes(plan.keys_bytes) + " for " + count(plan.keys) +
                 " idempotency keys"});
  table.add({"Redis maxmemory", bytes(plan.redis_maxmemory),
             "a tenth and the reserve above it" + copies});
  table.add({"Redis host memory", bytes(plan.redis_host_memory),
             "and what an AOF rewrite copies" + copies});
  table.add({"Redis disk", bytes(plan.redis_disk),
             "old AOF, new AOF and what arrives during a rewrite" + copies});
  table.add({"AOF written", bytes(plan.aof_bytes_per_second) + "/s", "at the busiest"});
  table.add({"After the outage",
             plan.catch_up_seconds < 0 ? "never level" : human_seconds(plan.catch_up_seconds),
             plan.catch_up_seconds < 0 ? "more nodes, or a faster object store"
                                       : "until the buffer is empty again"});
}

void add_nodes(Table& table, const SizePlan& plan) {
  const SizeLoad& load = plan.load;
  const std::string each =
      load.nodes == 1 ? "" : "; each of " + std::to_string(load.nodes) + " nodes";
  table.add(
      {"Daybook memory", bytes(static_cast<double>(memory_sum(plan.memory))), "at worst" + each});
  table.add({"Daybook disk", bytes(plan.node_disk),
             bytes(plan.spool_bytes) + " spool, " + bytes(plan.trail_bytes) + " trail" +
                 (load.nodes == 1 ? ", index" : "") + (load.s3 ? "" : ", archive") + ", reserve" +
                 each});
  table.add({"CPU", count(plan.cores) + " cores",
             "of " + std::to_string(load.cores) + ", Redis's share included, TLS not" + each});
  table.add({"Network in, out",
             megabits(plan.network_in_bits) + ", " + megabits(plan.network_out_bits),
             "payloads; Redis" + std::string(load.s3 ? " and object store" : "") + each});
}

void add_stores(Table& table, const SizePlan& plan) {
  const SizeLoad& load = plan.load;
  const std::string kept =
      " kept for " + (load.retention_days < 730 ? count(load.retention_days) + " days"
                                                : count(load.retention_days / 365) + " years");
  table.add(
      {"Archive a day", bytes(plan.archive_bytes_per_day),
       bytes(plan.archive_bytes_kept) + " in " + count(plan.objects_kept) + " objects" + kept});
  if (load.s3) {
    table.add({"S3 requests a day", count(plan.puts_per_day) + " PUT",
               count(plan.puts_per_second) + " a second at the busiest; " +
                   count(plan.gets_per_day) + " GET (audit), " + count(plan.heads_per_day) +
                   " HEAD (probe)"});
  }
  table.add({"Index a day", bytes(plan.row_bytes_per_day),
             count(plan.records_per_day) + " rows; " + bytes(plan.row_bytes_kept) + kept});
}

std::string render_settings(const SizePlan& plan) {
  std::string text = "\ndaybook.toml\n", section;
  for (const SizeSetting& setting : plan.daybook_settings) {
    const std::size_t dot = setting.name.find('.');
    if (setting.name.substr(0, dot) != section) {
      section = setting.name.substr(0, dot);
      text += "  [" + section + "]\n";
    }
    const bool bare = setting.value.find_first_not_of("0123456789") == std::string::npos;
    text += "  " + setting.name.substr(dot + 1) + " = " +
            (bare ? setting.value : "\"" + setting.value + "\"") + "\n";
  }
  text += "\nredis.conf\n";
  for (const SizeSetting& setting : plan.redis_settings) {
    text += "  " + setting.name + " " + setting.value + "\n";
  }
  return text;
}

std::string render_limits(const SizePlan& plan) {
  const SizeLimit& first = plan.limits.front();
  std::string text = "\nFirst limit: " + first.name + ", " + percent(first.share()) + " full (" +
                     count(first.used) + " of " + count(first.full) + " " + first.unit +
                     "); full at " + count(plan.load.records_per_second / first.share()) +
                     " records/s.\n";
  if (first.share() > size_constants::kFullShare) {
    text += "That is more than the " + percent(size_constants::kFullShare) +
            " to plan with: " + first.way_out + ".\n";
  }
  if (plan.nodes_needed > plan.load.nodes) {
    text += "The nodes are at most " + percent(size_constants::kFullShare) + " full with --nodes " +
            std::to_string(plan.nodes_needed) + ".\n";
  }
  if (plan.keys_bytes > plan.backlog_bytes) {
    text +=
        "Most of Redis's memory is idempotency keys: a shorter --idempotency-window saves it.\n";
  }
  return text + "\n";
}

}  // namespace

std::string render_size(const SizePlan& plan) {
  Table table({{"Needed"}, {"", true}, {"For", false, true}});
  add_redis(table, plan);
  add_nodes(table, plan);
  add_stores(table, plan);
  return head(plan.load) + "\n" + table.render(0) + render_limits(plan) +
         render_settings(plan).substr(1);
}

std::string size_json(const SizePlan& plan) {
  const SizeLoad& load = plan.load;
  const auto settings = [](const std::vector<SizeSetting>& list) {
    json::object object;
    for (const SizeSetting& setting : list) object[setting.name] = setting.value;
    return object;
  };
  json::object memory;
  for (const MemoryUser& user : plan.memory) memory[user.name] = user.bytes_max;
  json::array limits;
  for (const SizeLimit& limit : plan.limits) {
    limits.push_back(json::object{{"name", limit.name},
                                  {"used", limit.used},
                                  {"full", limit.full},
                                  {"unit", limit.unit},
                                  {"share", limit.share()}});
  }
  return json::serialize(json::object{
      {"load", json::object{{"records_per_second", load.records_per_second},
                            {"average_per_second", load.average_per_second},
                            {"payload_bytes", load.payload_bytes},
                            {"compression", load.compression},
                            {"outage_seconds", load.outage_seconds},
                            {"redis_outage_seconds", load.redis_outage_seconds},
                            {"replicas", load.replicas},
                            {"nodes", load.nodes}}},
      {"record",
       json::object{{"stored_bytes", plan.stored_bytes}, {"redis_bytes", plan.redis_bytes}}},
      {"redis", json::object{{"backlog_records", plan.backlog_records},
                             {"backlog_bytes", plan.backlog_bytes},
                             {"keys", plan.keys},
                             {"keys_bytes", plan.keys_bytes},
                             {"used_bytes", plan.redis_used},
                             {"maxmemory_bytes", plan.redis_maxmemory},
                             {"host_memory_bytes", plan.redis_host_memory},
                             {"aof_bytes_per_second", plan.aof_bytes_per_second},
                             {"aof_backlog_bytes", plan.aof_backlog_bytes},
                             {"disk_bytes", plan.redis_disk},
                             {"catch_up_seconds", plan.catch_up_seconds}}},
      {"node", json::object{{"memory_bytes", memory_sum(plan.memory)},
                            {"memory", memory},
                            {"disk_bytes", plan.node_disk},
                            {"spool_records", plan.spool_records},
                            {"spool_bytes", plan.spool_bytes},
                            {"trail_bytes", plan.trail_bytes},
                            {"cores", plan.cores},
                            {"network_in_bits_per_second", plan.network_in_bits},
                            {"network_out_bits_per_second", plan.network_out_bits}}},
      {"archive", json::object{{"bytes_per_day", plan.archive_bytes_per_day},
                               {"bytes_kept", plan.archive_bytes_kept},
                               {"objects_per_day", plan.objects_per_day},
                               {"objects_kept", plan.objects_kept},
                               {"records_per_object", plan.records_per_object},
                               {"puts_per_second", plan.puts_per_second},
                               {"puts_per_day", plan.puts_per_day},
                               {"gets_per_day", plan.gets_per_day},
                               {"heads_per_day", plan.heads_per_day}}},
      {"index", json::object{{"rows_per_day", plan.records_per_day},
                             {"bytes_per_day", plan.row_bytes_per_day},
                             {"bytes_kept", plan.row_bytes_kept}}},
      {"daybook_settings", settings(plan.daybook_settings)},
      {"redis_settings", settings(plan.redis_settings)},
      {"limits", limits},
      {"nodes_needed", plan.nodes_needed}});
}

}  // namespace daybook::api
