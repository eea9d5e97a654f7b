#include "api/cli_fsck.hpp"

#include <boost/json.hpp>

#include "api/cli_output.hpp"
#include "core/text.hpp"
#include "storage/redis_buffer.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::Result;
using core::Task;

std::string_view store_of(const core::Error& error) {
  switch (error.origin) {
    case core::Origin::buffer:
      return "buffer";
    case core::Origin::object_store:
      return "archive";
    case core::Origin::metadata:
      return "index";
    default:
      return "trail";
  }
}

int could_not_look(const char* command, const core::Error& error, bool as_json) {
  if (as_json) {
    print(json::serialize(json::object{
              {"error", json::object{{"store", store_of(error)}, {"detail", error.detail}}}}) +
          "\n");
  }
  print_error(std::string("daybook ") + command + ": could not look at the " +
              std::string(store_of(error)) + ": " + printable(error.detail) + "\n");
  return kExitUnreachable;
}

Task<Result<FsckReport>> examine(const core::Config& config, FsckOptions options,
                                 io::IoRuntime& runtime) {
  auto server = storage::redis_target(config);
  if (!server) co_return pass(std::move(server));
  storage::RedisScan buffer(runtime, std::move(*server), config.buffer_prefix);
  auto stores = OfflineStores::open(config, runtime, OfflineStores::MetadataFile::must_exist);
  if (!stores) co_return pass(std::move(stores));
  Fsck fsck(config, options, runtime, **stores, buffer);
  co_return co_await fsck.run();
}

std::string count_of(std::uint64_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

}  // namespace

std::string render_fsck(const FsckReport& report) {
  std::string text;
  for (const FsckFinding& finding : report.findings) {
    text += finding.kind + "  " + printable(finding.subject) + "  " + printable(finding.detail);
    if (!finding.repair.empty()) text += " -> " + printable(finding.repair);
    text += "\n";
  }
  std::uint64_t total = 0;
  for (const auto& [kind, count] : report.counts) total += count;
  if (total > report.findings.size()) {
    text += "... and " + std::to_string(total - report.findings.size()) + " more findings\n";
  }
  for (const std::string& note : report.notes) text += "note: " + printable(note) + "\n";
  text += "looked at " + count_of(report.trail_records, "trail record") + ", " +
          std::to_string(report.buffered) + " buffered" + ", " +
          count_of(report.objects, "object") + " (" + human_bytes(report.bytes) + "), " +
          count_of(report.rows, "row") + " in " + human_seconds(report.seconds) + "\n";
  if (total == 0) return text + "clean\n";
  std::string counts;
  for (const auto& [kind, count] : report.counts) {
    counts += (counts.empty() ? "" : ", ") + kind + " " + std::to_string(count);
  }
  return text + count_of(total, "finding") + ": " + counts + "; " +
         std::to_string(report.repaired) + " repaired\n";
}

std::string fsck_json(const FsckReport& report) {
  json::array findings;
  for (const FsckFinding& finding : report.findings) {
    findings.push_back(json::object{{"kind", finding.kind},
                                    {"subject", finding.subject},
                                    {"detail", finding.detail},
                                    {"repair", finding.repair}});
  }
  json::object counts;
  for (const char* kind : {"missing", "damaged", "unindexed", "row_without_object", "orphan",
                           "duplicate", "residue"}) {
    const auto found = report.counts.find(kind);
    counts[kind] = found == report.counts.end() ? 0 : found->second;
  }
  json::array notes;
  for (const std::string& note : report.notes) notes.emplace_back(note);
  return json::serialize(json::object{{"counts", std::move(counts)},
                                      {"findings", std::move(findings)},
                                      {"notes", std::move(notes)},
                                      {"looked_at", json::object{{"trail", report.trail_records},
                                                                 {"buffer", report.buffered},
                                                                 {"objects", report.objects},
                                                                 {"bytes", report.bytes},
                                                                 {"rows", report.rows}}},
                                      {"repaired", report.repaired},
                                      {"seconds", report.seconds}});
}

std::string render_rebuild(const RebuildSummary& summary) {
  std::string text;
  for (const RebuildSummary::Damaged& damaged : summary.damaged) {
    text += "damaged  " + printable(damaged.key) + "  " + printable(damaged.detail) + "\n";
  }
  return text + count_of(summary.objects, "object") + " (" + human_bytes(summary.bytes) +
         "): " + count_of(summary.inserted, "row") + " inserted, " +
         std::to_string(summary.present) + " were there, " +
         std::to_string(summary.damaged.size()) + " damaged; " + std::to_string(summary.other) +
         " other objects; " + human_seconds(summary.seconds) + "\n";
}

std::string rebuild_json(const RebuildSummary& summary) {
  json::array damaged;
  for (const RebuildSummary::Damaged& object : summary.damaged) {
    damaged.push_back(json::object{{"key", object.key}, {"detail", object.detail}});
  }
  return json::serialize(json::object{{"objects", summary.objects},
                                      {"bytes", summary.bytes},
                                      {"inserted", summary.inserted},
                                      {"present", summary.present},
                                      {"other", summary.other},
                                      {"damaged", std::move(damaged)},
                                      {"seconds", summary.seconds}});
}

int run_fsck(const ConfigSources& sources, FsckOptions options, bool json) {
  const auto loaded = load_config(sources);
  if (!loaded) {
    print_error("daybook fsck: the configuration is wrong:\n" + loaded.error().detail + "\n");
    return kExitUsage;
  }
  options.progress = !json;
  const auto report = io::run_to_completion<Result<FsckReport>>(
      [&](io::IoRuntime& runtime) { return examine(loaded->config, options, runtime); });
  if (!report) return could_not_look("fsck", report.error(), json);
  print(json ? fsck_json(*report) + "\n" : render_fsck(*report));
  return report->counts.empty() ? kExitOk : kExitFailed;
}

int run_rebuild_index(const ConfigSources& sources, bool json) {
  const auto loaded = load_config(sources);
  if (!loaded) {
    print_error("daybook rebuild-index: the configuration is wrong:\n" + loaded.error().detail +
                "\n");
    return kExitUsage;
  }
  const auto summary = io::run_to_completion<Result<RebuildSummary>>(
      [&](io::IoRuntime& runtime) { return rebuild_index(loaded->config, runtime, !json); });
  if (!summary) return could_not_look("rebuild-index", summary.error(), json);
  print(json ? rebuild_json(*summary) + "\n" : render_rebuild(*summary));
  return summary->damaged.empty() ? kExitOk : kExitFailed;
}

}  // namespace daybook::api
