// bulk_load: posts audit records to a Daybook as fast as C connections can, or at a given rate, and
// prints payload MB/s and percentiles of the time to the acknowledgement. The canonical commands
// are in README.md beside this file.
#include <cstdio>
#include <fstream>
#include <random>

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "bench/load_run.hpp"
#include "bench/payload_options.hpp"
#include "bench/payload_source.hpp"

namespace daybook::bench {
namespace {

constexpr int kExitErrors = 1;
constexpr int kExitUsage = 2;

struct Options {
  std::string url = "http://127.0.0.1:7080";
  double duration_seconds = 0;
  double timeout_seconds = 60;
  bool json = false;
  std::vector<std::string> raw;
  std::filesystem::path write_payloads;
  PayloadChoice payloads;
  LoadOptions load;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--url", options.url, "Where Daybook listens")->capture_default_str();
  app.add_option("--connections", options.load.connections,
                 "Connections, each with one record at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--records", options.load.records,
                 "Records to send (1000 where neither this nor --duration is given)");
  app.add_option("--duration", options.duration_seconds, "Seconds to send for");
  declare_payload_options(app, options.payloads);
  app.add_option(
         "--rate", options.load.rate,
         "Records a second, open loop: latency counts from when a record was due. 0 = closed loop")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--timeout", options.timeout_seconds, "Seconds that one record may take")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--idempotency-keys", options.load.idempotency_keys,
               "Send a key with each record, as a client that retries would");
  app.add_flag("--end-to-end", options.load.end_to_end,
               "Then wait until all is archived and indexed, and say the MB/s of that, too");
  app.add_option("--raw", options.raw,
                 "METHOD and TARGET of a server that is not Daybook: each body goes there and any "
                 "2xx acknowledges it. @FILE: its lines are the targets, in turn")
      ->expected(2);
  app.add_option(
      "--write-payloads", options.write_payloads,
      "Write the bodies and their order into this folder, say what they are, and send nothing");
  app.add_flag("--json", options.json, "One JSON object on standard output");
}

// The sentence says what is wrong.
std::optional<std::string> interpret_raw(Options& options) {
  if (options.raw.empty()) return std::nullopt;
  if (options.load.end_to_end) return "--end-to-end asks a Daybook; it does not go with --raw.";
  if (options.load.idempotency_keys) return "--idempotency-keys does not go with --raw.";
  RawTarget raw{.method = options.raw[0], .targets = {}};
  if (options.raw[1].starts_with('@')) {
    const std::string name = options.raw[1].substr(1);
    std::ifstream file(name);
    for (std::string line; std::getline(file, line);) {
      if (!line.empty()) raw.targets.push_back(line);
    }
    if (raw.targets.empty()) return "--raw: " + name + " has no target, or cannot be read.";
  } else {
    raw.targets.push_back(options.raw[1]);
  }
  for (const std::string& target : raw.targets) {
    if (!target.starts_with('/')) return "--raw: the target " + target + " must begin with /.";
  }
  options.load.raw = std::move(raw);
  return std::nullopt;
}

// Fills what the options' texts mean; the sentence says what is wrong.
std::optional<std::string> interpret(Options& options) {
  if (auto complaint = interpret_payload_options(options.payloads)) return complaint;
  if (auto complaint = interpret_raw(options)) return complaint;
  auto url = io::parse_url(options.url);
  if (!url) return url.error().detail;
  options.load.client.endpoint.host = url->host;
  options.load.client.endpoint.port = url->port;
  options.load.client.host_header = url->authority();
  options.load.client.connections_max = options.load.connections;
  if (url->https)
    options.load.client.tls = io::TlsSettings{.server_name = url->host, .ca_file = {}};
  options.load.base_path = url->path;
  const auto milliseconds = [](double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  };
  options.load.duration = milliseconds(options.duration_seconds);
  options.load.timeout = milliseconds(options.timeout_seconds);
  if (options.load.records == 0 && options.load.duration.count() == 0) options.load.records = 1000;
  options.load.run_name = fmt::format("bulk-{:08x}", std::random_device{}());
  options.load.progress = isatty(STDERR_FILENO) == 1;
  return std::nullopt;
}

double megabytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

boost::json::object to_json(const Options& options, const PayloadSource& payloads,
                            const LoadReport& report) {
  boost::json::object errors;
  for (const auto& [cause, count] : report.errors) errors[cause] = count;
  boost::json::object document{{"mb_per_s", report.mb_per_s()},
                               {"records_per_s", report.records_per_s()},
                               {"ack_ms",
                                {{"p50", report.ack.milliseconds_at(0.50)},
                                 {"p99", report.ack.milliseconds_at(0.99)},
                                 {"p999", report.ack.milliseconds_at(0.999)},
                                 {"max", report.ack.max_milliseconds()}}},
                               {"errors", errors},
                               {"records", report.records},
                               {"bytes", report.bytes},
                               {"seconds", report.seconds},
                               {"connections", options.load.connections},
                               {"rate", options.load.rate},
                               {"payloads", payloads.description()},
                               {"runtime", io::backend_name()}};
  if (report.end_to_end) {
    const EndToEnd& all = *report.end_to_end;
    document["end_to_end_mb_per_s"] = megabytes(report.bytes) / all.seconds;
    document["end_to_end"] = {{"seconds", all.seconds},
                              {"drain_seconds", all.drain_seconds},
                              {"parked", all.parked},
                              {"complete", all.complete}};
  }
  return document;
}

void print_text(const LoadReport& report) {
  fmt::print("{} records, {:.1f} MB in {:.2f} s\n", report.records, megabytes(report.bytes),
             report.seconds);
  fmt::print("throughput   {:.1f} MB/s of payload, {:.1f} records/s\n", report.mb_per_s(),
             report.records_per_s());
  fmt::print("ack          p50 {:.1f} ms   p99 {:.1f} ms   p99.9 {:.1f} ms   max {:.1f} ms\n",
             report.ack.milliseconds_at(0.50), report.ack.milliseconds_at(0.99),
             report.ack.milliseconds_at(0.999), report.ack.max_milliseconds());
  if (report.end_to_end) {
    const EndToEnd& all = *report.end_to_end;
    fmt::print("end to end   {:.1f} MB/s archived and indexed; {:.2f} s after the last ack{}{}\n",
               megabytes(report.bytes) / all.seconds, all.drain_seconds,
               all.parked > 0 ? fmt::format("; {} PARKED", all.parked) : "",
               all.complete ? "" : "; NOT FINISHED");
  }
  if (report.errors.empty()) {
    fmt::print("errors       none\n");
    return;
  }
  for (const auto& [cause, count] : report.errors)
    fmt::print("errors       {} x {}\n", count, cause);
  fmt::print("first error  {}\n", report.first_error);
}

int run_with(const Options& options) {
  const auto payloads = PayloadSource::load(options.payloads.options);
  if (!payloads) {
    fmt::print(stderr, "bulk_load: {}\n", payloads.error().detail);
    return kExitUsage;
  }
  if (!options.write_payloads.empty()) {
    if (auto written = payloads->write_to(options.write_payloads); !written) {
      fmt::print(stderr, "bulk_load: {}\n", written.error().detail);
      return kExitErrors;
    }
    fmt::print("{}\n", payloads->description());
    return 0;
  }
  if (auto usable = io::probe_backend(); !usable) {
    fmt::print(stderr, "bulk_load: {}\n", usable.error().detail);
    return kExitErrors;
  }
  if (!options.json) {
    fmt::print("{} connections to {}; {} ({} bodies, {:.0f} MB in memory)\n",
               options.load.connections, options.url, payloads->description(), payloads->distinct(),
               megabytes(payloads->pool_bytes()));
    std::fflush(stdout);
  }
  io::IoRuntime runtime;
  LoadRun load(runtime, *payloads, options.load);
  runtime.on_terminate([&load] { load.stop(); });
  runtime.spawn(load.run());
  runtime.run();

  const LoadReport& report = load.report();
  if (options.json) {
    fmt::print("{}\n", boost::json::serialize(to_json(options, *payloads, report)));
  } else {
    print_text(report);
  }
  const bool complete = !report.end_to_end || report.end_to_end->complete;
  return report.errors.empty() && report.records > 0 && complete ? 0 : kExitErrors;
}

}  // namespace

int bulk_load(int argument_count, char** arguments) {
  Options options;
  CLI::App app(
      "Posts audit records and measures the time to each durable acknowledgement.\n"
      "Exit status: 0 all acknowledged, 1 errors, 2 wrong use.");
  declare(app, options);
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (const auto complaint = interpret(options)) {
    fmt::print(stderr, "bulk_load: {}\n", *complaint);
    return kExitUsage;
  }
  return run_with(options);
}

}  // namespace daybook::bench

int main(int argument_count, char** arguments) {
  return daybook::bench::bulk_load(argument_count, arguments);
}
