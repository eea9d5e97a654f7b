// roofline: what this machine can do for the bytes that Daybook is given, part by part and as a
// whole, so that a figure of Daybook's can be put as a share of it. Figures of one run belong
// together; on a shared machine those of two runs do not.
#include <cstdio>
#include <span>
#include <thread>

#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/payload_options.hpp"
#include "bench/roofline/clock.hpp"
#include "bench/roofline/scratch_folder.hpp"
#include "bench/roofline/servers.hpp"
#include "bench/roofline/settings.hpp"
#include "io/runtime.hpp"

namespace daybook::bench::roofline {
namespace {

constexpr int kExitErrors = 1;
constexpr int kExitUsage = 2;

struct NamedSection {
  const char* name;
  Section measure;
};
constexpr NamedSection kSections[] = {
    {"memory", measure_memory}, {"sha256", measure_sha256},   {"zstd", measure_zstd},
    {"seal", measure_seal},     {"receive", measure_receive}, {"ceiling", measure_ceiling},
    {"disk", measure_disk},     {"redis", measure_redis},
};

struct Options {
  Settings settings;
  std::vector<std::string> only;
  bool ceiling_only = false;
  bool json = false;
  PayloadChoice payloads;
};

void declare(CLI::App& app, Options& options) {
  std::vector<std::string> names;
  for (const NamedSection& section : kSections) names.emplace_back(section.name);
  options.payloads.size = "4M";
  app.add_option("--connections", options.settings.connections,
                 "Connections of receive and ceiling, one row each: 1,4,8")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--seconds", options.settings.seconds, "Seconds of each measure")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  auto* only = app.add_option("--only", options.only, "This section; may be given again")
                   ->check(CLI::IsMember(names))
                   ->delimiter(',');
  app.add_flag("--ceiling-only", options.ceiling_only, "Short for --only ceiling")->excludes(only);
  declare_payload_options(app, options.payloads);
  app.add_option("--dir", options.settings.dir,
                 "Folder below which disk and redis write, on the disk that is to be measured; "
                 "their files are removed. Default: var beside the source.");
  app.add_flag("--json", options.json, "One JSON object on standard output");
}

bool chosen(const Options& options, std::string_view name) {
  if (options.ceiling_only) return name == "ceiling";
  return options.only.empty() || std::ranges::find(options.only, name) != options.only.end();
}

// As many descriptors as the system grants: two for each connection, in two processes.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run_with(Options& options) {
  Settings& settings = options.settings;
  settings.cores = std::max(1U, std::thread::hardware_concurrency());
  if (settings.dir.empty()) settings.dir = DAYBOOK_SOURCE_DIR "/var";
  raise_descriptor_limit();
  remove_folders_when_interrupted();
  const auto payloads = PayloadSource::load(options.payloads.options);
  if (!payloads) {
    fmt::print(stderr, "roofline: {}\n", payloads.error().detail);
    return kExitUsage;
  }
  Report report(options.json);
  report.set("payloads", payloads->description());
  report.set("bodies", payloads->distinct());
  report.set("seed", options.payloads.options.seed);
  report.set("seconds", settings.seconds);
  report.set("cores", settings.cores);
  report.set("runtime", io::backend_name());
  report.set("compression_level", product_level());
  if (!options.json) {
    fmt::print("{} ({} bodies, {:.0f} MB in memory), {} cores, {} s a measure\n",
               payloads->description(), payloads->distinct(), megabytes(payloads->pool_bytes()),
               settings.cores, settings.seconds);
  }
  int status = 0;
  for (const NamedSection& section : kSections) {
    if (!chosen(options, section.name)) continue;
    const auto outcome = section.measure(settings, *payloads, report);
    if (outcome) continue;
    fmt::print(stderr, "roofline: {}: {}\n", section.name, outcome.error().detail);
    status = kExitErrors;
  }
  report.finish();
  return status;
}

}  // namespace

int roofline(int argument_count, char** arguments) {
  Options options;
  CLI::App app(
      "What this machine can do for the bytes of a workload: MB/s (10^6 bytes of payload) and\n"
      "CPU seconds per GB of each part, and of a server that does nothing but receive, SHA-256 "
      "and\n"
      "zstd (the ceiling).\n"
      "Exit status: 0 measured (what is skipped is said), 1 a measure failed, 2 wrong use.");
  declare(app, options);
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (const auto complaint = interpret_payload_options(options.payloads)) {
    fmt::print(stderr, "roofline: {}\n", *complaint);
    return kExitUsage;
  }
  return run_with(options);
}

}  // namespace daybook::bench::roofline

int main(int argument_count, char** arguments) {
  return daybook::bench::roofline::roofline(argument_count, arguments);
}
