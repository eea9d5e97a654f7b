#include "api/figures.hpp"

#include <algorithm>
#include <fstream>

#include <unistd.h>

#include <boost/json.hpp>

#include "io/runtime.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;

double figure(std::uint64_t value) {
  return static_cast<double>(value);
}

double seconds(core::Duration time) {
  return std::chrono::duration<double>(time).count();
}

std::uint64_t resident_bytes() {
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

json::object facts_json(const std::vector<core::StoreFact>& facts) {
  json::object all;
  for (const core::StoreFact& fact : facts) {
    all[fact.name] =
        json::object{{"finding", fact.finding}, {"good", fact.good}, {"detail", fact.detail}};
  }
  return all;
}

json::object buffer_json(const storage::RedisBuffer& buffer, std::int64_t oldest_seconds) {
  const core::BufferStats& stats = buffer.last_stats();
  json::array servers;
  for (const auto& server : buffer.servers()) {
    servers.push_back(json::object{{"address", server.address},
                                   {"memory_bytes", server.memory_used},
                                   {"memory_max_bytes", server.memory_max}});
  }
  json::array advice;
  for (const auto& one : buffer.advice()) {
    advice.push_back(json::value(one.subject + " " + one.detail + ". " + one.mend));
  }
  return {{"bytes", stats.bytes},
          {"oldest_seconds", oldest_seconds},
          {"memory_bytes", stats.memory_used},
          {"memory_max_bytes", stats.memory_max},
          {"replicas_confirm_with", buffer.replicas_confirm_with()},
          {"servers", std::move(servers)},
          {"advice", std::move(advice)}};
}

}  // namespace

Figures::Figures(Services services, const core::Config& config, Role role, std::string node)
    : services_(services),
      config_(config),
      role_(role),
      node_(std::move(node)),
      started_(services.runtime.steady_now()),
      started_at_(services.runtime.now()) {}

core::Duration Figures::since(std::optional<core::WallTime> time) const {
  if (!time) return core::Duration(0);
  return std::max(core::Duration(0), core::Duration(services_.runtime.now() - *time));
}

void Figures::refresh(std::size_t connections, std::uint64_t connections_ended) {
  Metrics& metrics = services_.metrics;
  refresh_buffer();
  refresh_spool();
  services_.subscribers.refresh_metrics();
  if (services_.pollers) services_.pollers->refresh_metrics();
  metrics.advance_to(metrics.metadata_contradictions, figure(services_.metadata.contradictions()));
  metrics.set(metrics.connections, figure(connections));
  metrics.advance_to(metrics.connections_ended, figure(connections_ended));
  metrics.set(metrics.ingest_in_flight_bytes, figure(services_.memory.used()));
  metrics.set(metrics.process_resident_bytes, figure(resident_bytes()));
  metrics.set(metrics.process_start_time, seconds(started_at_.time_since_epoch()));
  metrics.set(metrics.clock, seconds(services_.runtime.now().time_since_epoch()));
  metrics.set(metrics.runtime_info, 1, {{"backend", std::string(io::backend_name())}});
  metrics.set(metrics.build_info, 1, {{"version", DAYBOOK_VERSION}});
}

void Figures::refresh_buffer() {
  Metrics& metrics = services_.metrics;
  const core::BufferStats& stats = services_.buffer.last_stats();
  metrics.advance_to(metrics.records_accepted, figure(accepted_.of_all(stats.accepted)));
  metrics.advance_to(metrics.records_released, figure(released_.of_all(stats.released)));
  metrics.set(metrics.records_pending, figure(stats.pending));
  metrics.set(metrics.records_parked, figure(stats.parked));
  metrics.advance_to(metrics.records_dropped, figure(stats.dropped));
  metrics.set(metrics.parked_oldest_seconds, seconds(since(stats.oldest_parked)));
  metrics.set(metrics.records_unaccounted, static_cast<double>(stats.unaccounted()));
  metrics.set(metrics.buffer_entries, figure(stats.pending + stats.parked));
  metrics.set(metrics.buffer_bytes, figure(stats.bytes));
  metrics.set(metrics.buffer_memory_bytes, figure(stats.memory_used));
  metrics.set(metrics.buffer_memory_max_bytes, figure(stats.memory_max));
  metrics.set(metrics.buffer_oldest_seconds, seconds(since(stats.oldest_pending)));
}

void Figures::refresh_spool() {
  if (!services_.spool) return;
  Metrics& metrics = services_.metrics;
  metrics.set(metrics.spool_records, figure(services_.spool->records()));
  metrics.set(metrics.spool_bytes, figure(services_.spool->bytes()));
  metrics.set(metrics.spool_quarantined, figure(services_.spool->quarantined()));
  metrics.advance_to(metrics.spool_contested, figure(services_.spool_replay->contested()));
  metrics.advance_to(metrics.spool_replayed, figure(services_.spool_replay->replayed()));
}

std::string Figures::status() const {
  const core::BufferStats& stats = services_.buffer.last_stats();
  const Health& health = services_.health;
  const storage::Spool* spool = services_.spool;
  json::array checks;
  for (const Check& check : health.checks()) {
    checks.push_back(
        json::object{{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
  }
  json::object in_flight;
  if (services_.pipeline) {
    for (const std::string_view stage : services_.pipeline->stages()) {
      in_flight[stage] = services_.pipeline->in_flight(stage);
    }
  }
  const auto whole_seconds = [](auto time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time).count();
  };
  const json::object status = {
      {"version", DAYBOOK_VERSION},
      {"runtime", io::backend_name()},
      {"role", to_string(role_)},
      {"node", node_},
      {"uptime_seconds", whole_seconds(services_.runtime.steady_now() - started_)},
      {"ready", health.ready()},
      {"durability", config_.buffer_durability},
      {"checks", std::move(checks)},
      {"records",
       json::object{
           {"accepted", stats.accepted},
           {"released", stats.released},
           {"pending", stats.pending},
           {"parked", stats.parked},
           {"dropped", stats.dropped},
           {"unaccounted", stats.unaccounted()},
           {"missing", services_.reconciler ? services_.reconciler->missing().size() : 0}}},
      {"buffer", buffer_json(services_.buffer, whole_seconds(since(stats.oldest_pending)))},
      {"spool", json::object{{"records", spool ? spool->records() : 0},
                             {"bytes", spool ? spool->bytes() : 0},
                             {"quarantined", spool ? spool->quarantined() : 0}}},
      {"pipeline", json::object{{"in_flight", std::move(in_flight)}}},
      {"subscribers", services_.subscribers.status()},
      {"pollers", services_.pollers ? services_.pollers->status() : json::array()},
      {"stores", json::object{{"archive", services_.objects.describe()},
                              {"archive_honours", facts_json(services_.objects.facts())},
                              {"metadata", services_.metadata.describe()}}},
      {"memory", json::object{{"in_flight_bytes", services_.memory.used()},
                              {"max_bytes", services_.memory.total()},
                              {"resident_bytes", resident_bytes()}}},
      {"disk", json::object{{"free_bytes", health.disk_free()},
                            {"reserve_bytes", config_.node_disk_reserve}}}};
  return json::serialize(status) + "\n";
}

}  // namespace daybook::api
