#include "api/cli_metadata.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <unistd.h>

#include <boost/json.hpp>

#include "api/cli_fsck.hpp"
#include "api/cli_output.hpp"
#include "api/metadata_copy.hpp"
#include "api/metadata_store.hpp"
#include "io/worker_pool.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::Config;
using core::Result;
using core::SchemaState;
using core::SchemaStatus;
using core::Task;

constexpr auto kStatusTimeout = std::chrono::seconds(30);
constexpr auto kMigrateTimeout = std::chrono::hours(6);  // an index on many rows takes its time

// One store of a configuration, with what it works on.
struct OpenedStore {
  explicit OpenedStore(io::IoRuntime& runtime)
      : writer(runtime, 1, "daybook-index"), reader(runtime, 1, "daybook-query") {}
  io::WorkerPool writer;
  io::WorkerPool reader;
  std::unique_ptr<core::MetadataSchema> schema;
  std::unique_ptr<core::MetadataStore> store;  // null until it is opened
};

void say_wrong_settings(const char* command, const std::string& detail) {
  print_error("daybook metadata " + std::string(command) + ": the configuration is wrong:\n" +
              detail + "\n");
}

// The settings with another metadata.kind, if they are enough for it.
std::optional<Config> config_for(const ConfigSources& sources, const std::string& kind,
                                 const char* command) {
  const auto loaded = load_config(sources);
  if (!loaded) {
    say_wrong_settings(command, loaded.error().detail);
    return std::nullopt;
  }
  Config config = loaded->config;
  if (kind.empty() || kind == config.metadata_kind) return config;
  config.metadata_kind = kind;
  std::string all;
  for (const std::string& line : broken_rules(config)) all += (all.empty() ? "" : "\n") + line;
  if (all.empty()) return config;
  say_wrong_settings(command, all);
  return std::nullopt;
}

int failed(const char* command, const core::Error& error, bool as_json) {
  if (as_json) {
    print(json::serialize(json::object{{"error", error.detail}}) + "\n");
  }
  print_error("daybook metadata " + std::string(command) + ": " + printable(error.detail) + "\n");
  return kExitUnreachable;
}

std::string count_of(std::uint64_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

// --- status and migrate ---

struct Looked {
  std::string store;
  SchemaStatus status;
};

Task<Result<Looked>> look(const Config& config, io::IoRuntime& runtime) {
  io::WorkerPool worker(runtime, 1, "daybook-schema");
  auto schema = open_metadata_schema(config, runtime, worker);
  if (!schema) co_return pass(std::move(schema));
  auto status = co_await (*schema)->status(runtime.steady_now() + kStatusTimeout);
  if (!status) co_return pass(std::move(status));
  co_return Looked{(*schema)->describe(), std::move(*status)};
}

Task<Result<std::vector<std::string>>> migrate(const Config& config, bool dry_run,
                                               io::IoRuntime& runtime) {
  io::WorkerPool worker(runtime, 1, "daybook-schema");
  auto schema = open_metadata_schema(config, runtime, worker);
  if (!schema) co_return pass(std::move(schema));
  co_return co_await (*schema)->migrate(dry_run, runtime.steady_now() + kMigrateTimeout);
}

// --- copy ---

// Both schemas are looked at before the first row goes. An embedded target is made by opening it.
Task<Result<std::optional<std::uint64_t>>> open_store(const Config& config, io::IoRuntime& runtime,
                                                      OpenedStore& opened, bool target) {
  auto schema = open_metadata_schema(config, runtime, opened.writer);
  if (!schema) co_return pass(std::move(schema));
  opened.schema = std::move(*schema);
  const auto status = co_await opened.schema->status(runtime.steady_now() + kStatusTimeout);
  if (!status) co_return pass(status);
  const bool made_by_opening =
      target && config.metadata_kind == "sqlite" &&
      (status->state == SchemaState::missing || status->state == SchemaState::older);
  if (status->state != SchemaState::current && !made_by_opening) {
    co_return core::fail(core::Code::misconfigured, core::Origin::metadata, core::Retry::never,
                         status->detail);
  }
  auto store = open_metadata_store(config, runtime, opened.writer, opened.reader);
  if (!store) co_return pass(std::move(store));
  opened.store = std::move(*store);
  co_return status->rows;
}

// "step 1 of 3, copying: 12000 of 40000 rows", redrawn in place on a terminal.
class CopyLine {
 public:
  CopyLine(bool wanted, std::optional<std::uint64_t> total)
      : wanted_(wanted && is_terminal(STDERR_FILENO)), total_(total) {}
  ~CopyLine() { clear(); }
  CopyLine(const CopyLine&) = delete;
  CopyLine& operator=(const CopyLine&) = delete;

  void draw(int step, std::uint64_t rows) {
    constexpr const char* kSteps[] = {"copying", "comparing", "looking once more"};
    if (!wanted_) return;
    std::string text =
        "step " + std::to_string(step) + " of 3, " + kSteps[step - 1] + ": " + std::to_string(rows);
    if (total_ && step < 3) text += " of " + std::to_string(std::max(*total_, rows));
    text += " rows, " +
            human_seconds(
                std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count());
    print_error("\r\x1B[K" + shortened(text, terminal_width(STDERR_FILENO) - 1));
    shown_ = true;
  }
  void clear() {
    if (std::exchange(shown_, false)) print_error("\r\x1B[K");
  }

 private:
  const bool wanted_;
  const std::optional<std::uint64_t> total_;
  const core::SteadyTime began_ = std::chrono::steady_clock::now();
  bool shown_ = false;
};

struct Copied {
  std::string from, to;
  CopyReport report;
};

Task<Result<Copied>> copy(const Config& source, const Config& target, bool progress,
                          io::IoRuntime& runtime) {
  OpenedStore from(runtime);
  OpenedStore to(runtime);
  const auto rows = co_await open_store(source, runtime, from, false);
  if (!rows) co_return pass(rows);
  const auto there = co_await open_store(target, runtime, to, true);
  if (!there) co_return pass(there);
  CopyLine line(progress, *rows);
  auto report =
      co_await copy_metadata(runtime, *from.store, *to.store,
                             [&line](int step, std::uint64_t done) { line.draw(step, done); });
  line.clear();
  if (!report) co_return pass(std::move(report));
  co_return Copied{from.store->describe(), to.store->describe(), std::move(*report)};
}

std::string copy_json(const Copied& copied) {
  json::array different;
  for (const auto& row : copied.report.different) {
    different.push_back(json::object{{"id", row.id}, {"in", row.in}});
  }
  return json::serialize(json::object{{"from", copied.from},
                                      {"to", copied.to},
                                      {"rows", copied.report.rows},
                                      {"equal", copied.report.equal},
                                      {"late", copied.report.late},
                                      {"separately", copied.report.separately},
                                      {"only_in_target", copied.report.only_in_target},
                                      {"different_count", copied.report.different_count},
                                      {"different", std::move(different)},
                                      {"seconds", copied.report.seconds}}) +
         "\n";
}

std::string copy_text(const Copied& copied) {
  const CopyReport& report = copied.report;
  std::string text;
  for (const auto& row : report.different) text += "differs  " + row.id + "  " + row.in + "\n";
  text += copied.from + " -> " + copied.to + ": " + count_of(report.rows, "row") + ", " +
          std::to_string(report.equal) + " equal in both";
  if (report.separately > 0) {
    text += ", " + std::to_string(report.separately) + " indexed there separately";
  }
  text += ", " + std::to_string(report.different_count) + " different; " +
          human_seconds(report.seconds) + "\n";
  if (report.only_in_target > 0) {
    text += count_of(report.only_in_target, "row") + " only in the target.\n";
  }
  if (report.late > 0) {
    text += count_of(report.late, "row") +
            " came while it ran. Once no server writes to the source any more, run it again: it "
            "then takes the last ones.\n";
  }
  return text;
}

}  // namespace

int run_metadata_status(const ConfigSources& sources, const MetadataOptions& options) {
  const auto config = config_for(sources, options.kind, "status");
  if (!config) return kExitUsage;
  const auto looked = io::run_to_completion<Result<Looked>>(
      [&](io::IoRuntime& runtime) { return look(*config, runtime); });
  if (!looked) return failed("status", looked.error(), options.json);
  const SchemaStatus& status = looked->status;
  const std::string_view state = to_string(status.state);
  if (options.json) {
    json::object text{{"kind", config->metadata_kind},
                      {"store", looked->store},
                      {"state", state},
                      {"schema_version", status.version},
                      {"schema_wanted", status.wanted},
                      {"detail", status.detail}};
    text["rows"] = status.rows ? json::value(*status.rows) : json::value(nullptr);
    print(json::serialize(text) + "\n");
  } else {
    print("kind    " + config->metadata_kind + "\nstore   " + printable(looked->store) +
          "\nschema  " + std::string(state) + ", version " + std::to_string(status.version) +
          " of " + std::to_string(status.wanted) + "\nrows    " +
          (status.rows ? std::to_string(*status.rows) : std::string("not counted")) + "\n" +
          (status.detail.empty() ? "" : printable(status.detail) + "\n"));
  }
  return status.state == SchemaState::current ? kExitOk : kExitFailed;
}

int run_metadata_migrate(const ConfigSources& sources, const MetadataOptions& options) {
  const auto config = config_for(sources, options.kind, "migrate");
  if (!config) return kExitUsage;
  const auto steps = io::run_to_completion<Result<std::vector<std::string>>>(
      [&](io::IoRuntime& runtime) { return migrate(*config, options.dry_run, runtime); });
  if (!steps) {
    const int status = failed("migrate", steps.error(), options.json);
    return steps.error().code == core::Code::misconfigured ? kExitFailed : status;
  }
  if (options.json) {
    print(json::serialize(json::object{{"dry_run", options.dry_run},
                                       {"steps", json::array(steps->begin(), steps->end())}}) +
          "\n");
    return kExitOk;
  }
  for (const std::string& step : *steps) print(step + "\n");
  print_error(steps->empty()    ? "The schema is up to date; there is nothing to do.\n"
              : options.dry_run ? "Nothing was done; without --dry-run this is.\n"
                                : "Done.\n");
  return kExitOk;
}

int run_metadata_copy(const ConfigSources& sources, const MetadataOptions& options) {
  if (options.from == options.to) {
    print_error("daybook metadata copy: --from and --to are the same store.\n");
    return kExitUsage;
  }
  const auto source = config_for(sources, options.from, "copy");
  if (!source) return kExitUsage;
  const auto target = config_for(sources, options.to, "copy");
  if (!target) return kExitUsage;
  const auto copied = io::run_to_completion<Result<Copied>>(
      [&](io::IoRuntime& runtime) { return copy(*source, *target, !options.json, runtime); });
  if (!copied) return failed("copy", copied.error(), options.json);
  print(options.json ? copy_json(*copied) : copy_text(*copied));
  return copied->report.different_count == 0 ? kExitOk : kExitFailed;
}

}  // namespace daybook::api
