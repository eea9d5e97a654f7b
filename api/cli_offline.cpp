// The commands that look at this node's configuration, files and stores without a server.
#include <cstdlib>

#include "api/cli_choices.hpp"
#include "api/cli_config.hpp"
#include "api/cli_doctor.hpp"
#include "api/config_settings.hpp"

namespace daybook::api {

void add_config_options(CLI::App& command, Choices& choices) {
  command.add_option("--config", choices.config_file, "The TOML file [default: $DAYBOOK_CONFIG]")
      ->type_name("FILE");
  command
      .add_option("--set", choices.sources.overrides,
                  "Overrides one setting; may be repeated. Not for secrets")
      ->type_name("SECTION.NAME=VALUE")
      ->allow_extra_args(false);
}

std::string flag_or_environment(const std::string& flag, const char* name) {
  if (!flag.empty()) return flag;
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  return value == nullptr ? "" : value;
}

ConfigSources sources_of(const Choices& choices) {
  ConfigSources sources = choices.sources;
  const std::string file = flag_or_environment(choices.config_file, "DAYBOOK_CONFIG");
  if (!file.empty()) sources.file = file;
  sources.environment = process_environment();
  if (!choices.listen.empty()) sources.overrides.push_back("server.listen=" + choices.listen);
  if (!choices.log_level.empty()) sources.overrides.push_back("log.level=" + choices.log_level);
  return sources;
}

void add_doctor(CLI::App& app, Choices& choices) {
  CLI::App* command =
      app.add_subcommand("doctor", "Probes this machine, Redis and the stores; says what to mend");
  add_config_options(*command, choices);
  command->add_flag("--json", choices.json, "JSON instead of text, for scripts");
  command->footer(
      "Each line is ok, warn or FAIL; below it stands what to do. Exits with 1 where anything\n"
      "failed. It changes nothing, except that an S3 archive gets the probe's two small objects\n"
      "(daybook-probe, daybook-probe-write), as it does at each start.");
  command->callback([&choices] {
    choices.command = [&choices] { return run_doctor(sources_of(choices), choices.json); };
  });
}

void add_fsck(CLI::App& app, Choices& choices) {
  CLI::App* command =
      app.add_subcommand("fsck", "Compares trail, buffer, archive and index, record by record");
  add_config_options(*command, choices);
  command->add_flag("--deep", choices.fsck.deep,
                    "Also decompress everything, buffered or archived, and compare payloads");
  command->add_flag("--repair", choices.fsck.repair, "Do what is safe about the findings");
  command->add_flag("--json", choices.json, "JSON instead of text, for scripts");
  command->footer(
      "Reads every object of the archive once. May run beside a server: each suspicion is looked\n"
      "at twice. The trail is this node's own; run it on each node that takes records.\n"
      "\n"
      "missing             acknowledged, found nowhere\n"
      "damaged             an object that is not what its row, envelope or the trail say\n"
      "unindexed           an object without a row; --repair inserts it\n"
      "row_without_object  a row whose object is gone\n"
      "orphan              bytes in the buffer without an entry; --repair gives a whole record "
      "that\n"
      "                    is not archived its entry back, and deletes others after 15 minutes\n"
      "duplicate           a second object of one record\n"
      "residue             a dead writer's temporary file; --repair deletes it after an hour\n"
      "\n"
      "--repair never deletes an object or a row. Exit codes: 0 clean, 1 findings (also when all\n"
      "were repaired), 2 wrong use, 3 a store could not be looked at.");
  command->callback([&choices] {
    choices.command = [&choices] {
      return run_fsck(sources_of(choices), choices.fsck, choices.json);
    };
  });
}

void add_rebuild_index(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand(
      "rebuild-index", "Rebuilds the metadata store from the archive's objects alone");
  add_config_options(*command, choices);
  command->add_flag("--json", choices.json, "JSON instead of text, for scripts");
  command->footer(
      "Every object without a row is read whole and checked down to its payload before its row is\n"
      "inserted; rows that are there stay as they are, so the command may be repeated. Damaged\n"
      "objects are named and get no row.\n"
      "It may run beside a server: a row is inserted once, whoever comes first, and SQLite puts "
      "the\n"
      "writers in order. But a server whose metadata file was deleted or replaced has to be\n"
      "restarted, because it holds on to the old one.\n"
      "Exit codes: 0 done, 1 damaged objects, 2 wrong use, 3 a store could not be used.");
  command->callback([&choices] {
    choices.command = [&choices] { return run_rebuild_index(sources_of(choices), choices.json); };
  });
}

void add_metadata(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand(
      "metadata",
      "Makes the metadata store's schema, shows it, moves rows to another kind of store");
  CLI::App* migrate = command->add_subcommand(
      "migrate", "Makes the schema or brings it up to date; may be repeated");
  CLI::App* status = command->add_subcommand("status", "The store, its schema's version, its rows");
  CLI::App* copy = command->add_subcommand(
      "copy", "Copies all rows to another kind of store, also while a server runs");
  MetadataOptions& options = choices.metadata;
  const auto kinds = choices_of(*find_setting("metadata", "kind"));
  const CLI::IsMember known(std::vector<std::string>(kinds.begin(), kinds.end()));
  const auto add_kind = [&known](CLI::App& sub, const char* name, std::string& into,
                                 const char* help) {
    return sub.add_option(name, into, help)->check(known)->type_name("KIND");
  };
  add_kind(*migrate, "--kind", options.kind, "The store's kind [default: metadata.kind]");
  add_kind(*status, "--kind", options.kind, "The store's kind [default: metadata.kind]");
  add_kind(*copy, "--from", options.from, "The kind to read from")->required();
  add_kind(*copy, "--to", options.to, "The kind to write to")->required();
  migrate->add_flag("--dry-run", options.dry_run, "Only show what would be done");
  for (CLI::App* sub : {migrate, status, copy}) {
    add_config_options(*sub, choices);
    sub->add_flag("--json", options.json, "JSON instead of text, for scripts");
  }
  const auto run_with = [&choices](auto run) {
    return [&choices, run] {
      choices.command = [&choices, run] { return run(sources_of(choices), choices.metadata); };
    };
  };
  migrate->callback(run_with(run_metadata_migrate));
  status->callback(run_with(run_metadata_status));
  copy->callback(run_with(run_metadata_copy));
  command->require_subcommand(1);
  status->footer(
      "Exit codes: 0 the schema is this program's, 1 it is not, 2 wrong use, 3 the store could\n"
      "not be asked.");
  migrate->footer("SQLite makes its schema by itself when it is opened; this does the same.");
  copy->footer(
      "Both stores are those of the configuration. Rows that the target has stay as they are, so "
      "it\n"
      "may be broken off and repeated. At the end both are compared row by row. To move a running\n"
      "server: copy, set metadata.kind, restart it, copy once more.\n"
      "Exit codes: 0 every row is in the target, 1 rows differ, 2 wrong use, 3 a store could not "
      "be\n"
      "used.");
}

void add_config(CLI::App& app, Choices& choices) {
  CLI::App* command =
      app.add_subcommand("config", "Shows the settings in effect and where each comes from");
  add_config_options(*command, choices);
  CLI::Option* defaults = command->add_flag("--defaults", choices.config_defaults,
                                            "Every setting at its default, with comments, as TOML");
  command->add_flag("--check", choices.config_check, "Only say whether it is valid")
      ->excludes(defaults);
  command->add_flag("--json", choices.json, "JSON instead of TOML, for scripts");
  command->callback([&choices] {
    choices.command = [&choices] {
      const auto action = choices.config_defaults ? ConfigOptions::Action::defaults
                          : choices.config_check  ? ConfigOptions::Action::check
                                                  : ConfigOptions::Action::show;
      return run_config({action, sources_of(choices), choices.json});
    };
  });
}

void add_size(CLI::App& app, Choices& choices) {
  CLI::App* command =
      app.add_subcommand("size", "How much memory, disk, requests and CPU a load needs");
  SizeOptions& size = choices.size;
  const auto flag = [&](const char* name, std::string& value, const char* help, const char* type) {
    command->add_option(name, value, help)->type_name(type);
  };
  flag("--records-per-second", size.records_per_second, "Records of the busiest second", "N");
  flag("--average", size.average_per_second,
       "Records a second over a day [default: as the busiest]", "N");
  flag("--size", size.size, "One payload [default with --sample: their mean]", "SIZE");
  flag("--compression", size.compression, "Payload over compressed payload, such as 9.4", "RATIO");
  command->add_option("--sample", size.samples, "Files of yours to measure the ratio from")
      ->type_name("FILE");
  flag("--outage", size.outage, "Of the object store, to be held in Redis [default: 30m]", "TIME");
  flag("--redis-outage", size.redis_outage,
       "Of Redis, to be held in the spool [default: as --outage]", "TIME");
  flag("--retention", size.retention, "Of the archive: 90d, 7y [default: 1y]", "TIME");
  flag("--idempotency-window", size.idempotency_window, "Keys are remembered [default: 7d]",
       "TIME");
  command->add_flag("--without-keys", size.without_keys,
                    "Clients send no Idempotency-Key, nor ce-source with ce-id");
  flag("--archive", size.archive, "s3 or file [default: s3]", "KIND");
  flag("--layout", size.layout, "object, or segment: small records share objects [default: object]",
       "LAYOUT");
  flag("--store-put", size.store_put, "The store's time for one PUT [default: 100ms]", "TIME");
  flag("--replicas", size.replicas, "Of Redis, 0 to 9 [default: 0]", "N");
  flag("--nodes", size.nodes, "Daybook nodes that share the load [default: 1]", "N");
  flag("--cores", size.cores, "Cores of a node [default: 2]", "N");
  flag("--redis-memory", size.redis_memory, "Memory of Redis's host, as one of the limits", "SIZE");
  flag("--network", size.network, "Of a node, each way [default: 10Gbit]", "SPEED");
  command->add_flag("--json", size.json, "JSON instead of text, for scripts");
  command->footer(
      "It multiplies measured figures (ops/sizing.md) and asks nobody. Memory and disk are what\n"
      "the end of both outages needs; CPU is of the machine that was measured.\n"
      "\n"
      "Examples:\n"
      "  daybook size --records-per-second 50 --size 4MiB --compression 9.4 --outage 30m\n"
      "  daybook size --records-per-second 200 --average 40 --sample audit/*.json --retention 7y");
  command->callback(
      [&choices] { choices.command = [&choices] { return run_size(choices.size); }; });
}

}  // namespace daybook::api
