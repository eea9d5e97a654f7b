// Sections "receive" and "ceiling".
#include <algorithm>

#include "bench/roofline/clock.hpp"
#include "bench/roofline/servers.hpp"
#include "bench/roofline/settings.hpp"
#include "io/runtime.hpp"

namespace daybook::bench::roofline {
namespace {

Row server_row(std::string_view server, std::size_t connections, const Exchange& result) {
  return {{"server", server},
          {"connections", connections},
          {"mb_per_s", rounded(result.mb_per_s())},
          {"client_cpu_s_per_gb", rounded(per_gigabyte(result.client_cpu, result.bytes))},
          {"server_cpu_s_per_gb", rounded(per_gigabyte(result.server_cpu, result.bytes))}};
}

}  // namespace

core::Result<void> measure_receive(const Settings& settings, const PayloadSource& payloads,
                                   Report& report) {
  report.begin_section("receive", "loopback, received and thrown away");
  const NamedServer servers[] = {
      {"thread_per_connection", thread_per_connection(Work::discard)},
      {"thread_per_core", thread_per_core(Work::discard, settings.cores)},
      {"one_thread", thread_per_core(Work::discard, 1)},
  };
  for (const std::size_t connections : settings.connections) {
    for (const NamedServer& server : servers) {
      const auto result = exchange(payloads, connections, settings.seconds, false, server.serve);
      if (!result) return core::pass(result);
      report.add(server_row(server.name, connections, *result));
    }
  }
  return {};
}

core::Result<void> measure_ceiling(const Settings& settings, const PayloadSource& payloads,
                                   Report& report) {
  report.begin_section("ceiling",
                       "received, SHA-256, zstd of 1 MiB blocks, thrown away; MB/s per server");
  std::vector<NamedServer> servers{
      {"thread_per_connection", thread_per_connection(Work::seal)},
      {"thread_per_core", thread_per_core(Work::seal, settings.cores)},
  };
  if (const auto usable = io::probe_backend()) {
    servers.push_back({"product_parts", product_parts(settings.cores)});
  } else {
    report.skip("product_parts: " + usable.error().detail);
  }
  std::vector<Row> server_rows;
  for (const std::size_t connections : settings.connections) {
    Row values;
    Exchange best;
    std::string_view best_name;
    for (const NamedServer& server : servers) {
      const auto result = exchange(payloads, connections, settings.seconds, true, server.serve);
      if (!result) return core::pass(result);
      values[server.name] = rounded(result->mb_per_s());
      server_rows.push_back(server_row(server.name, connections, *result));
      if (result->mb_per_s() <= best.mb_per_s()) continue;
      best = *result;
      best_name = server.name;
    }
    Row row{{"best", best_name},
            {"connections", connections},
            {"ceiling_mb_per_s", rounded(best.mb_per_s())}};
    for (const auto& member : values) row.insert(member);
    report.add(std::move(row));
  }
  report.begin_section("ceiling_servers", "the same measures, with what each server costs");
  for (Row& row : server_rows) report.add(std::move(row));
  return {};
}

}  // namespace daybook::bench::roofline
