// The commands that look at this node's configuration, files and stores without a server.
#include <cstdlib>

#include "api/cli_choices.hpp"
#include "api/cli_config.hpp"
#include "api/cli_doctor.hpp"

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
      "failed. It changes nothing.");
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

}  // namespace daybook::api
