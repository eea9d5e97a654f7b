#include "api/cli.hpp"

#include <string>

#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include "api/cli_choices.hpp"
#include "api/cli_output.hpp"
#include "api/cli_post.hpp"
#include "api/cli_records.hpp"
#include "api/cli_salvage.hpp"
#include "api/cli_status.hpp"
#include "api/server.hpp"
#include "core/text.hpp"
#include "io/runtime.hpp"

namespace daybook::api {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 it worked, 1 it failed, 2 the command was used wrongly.\n"
    "\n"
    "Examples:\n"
    "  daybook config --defaults > daybook.toml    a configuration to start from\n"
    "  daybook doctor --config daybook.toml        is this machine ready for it?\n"
    "  daybook serve --config daybook.toml\n"
    "  daybook post audit.json                     answers when the record is safe\n"
    "  daybook ls --since 1h\n"
    "  daybook get ID --payload -o audit.json\n"
    "\n"
    "daybook COMMAND --help says more about each command.";

// CLI11 prints this text behind "NAME", so that a wrong duration is wrong usage.
std::string check_duration(const std::string& text) {
  const auto duration = core::parse_duration(text);
  return duration && duration->count() > 0 ? "" : text + " is no duration such as 500ms, 30s or 2m";
}

// Many service managers start with a soft limit of 1024 files and a far higher hard one.
void raise_file_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= files.rlim_max) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);  // doctor tells where the hard limit is too low
}

int run_serve(const Choices& choices) {
  const auto loaded = load_config(sources_of(choices));
  if (!loaded) {
    print_error("daybook serve: the configuration is wrong:\n" + loaded.error().detail + "\n");
    return kExitFailed;
  }
  raise_file_limit();
  const Role role = choices.role == "ingest"     ? Role::ingest
                    : choices.role == "pipeline" ? Role::pipeline
                                                 : Role::all;
  return serve(loaded->config, role);
}

void add_serve(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand("serve", "Runs the server until SIGTERM");
  add_config_options(*command, choices);
  command->add_option("--listen", choices.listen, "Short for --set server.listen=HOST:PORT")
      ->type_name("HOST:PORT");
  command->add_option("--log-level", choices.log_level, "Short for --set log.level=LEVEL")
      ->type_name("LEVEL");
  command
      ->add_option("--role", choices.role,
                   "all: accept records and archive them; ingest: only accept; pipeline: only "
                   "archive [default: all]")
      ->check(CLI::IsMember({"all", "ingest", "pipeline"}))
      ->type_name("ROLE");
  command->footer(
      "Settings: flags win over the environment (DAYBOOK_SECTION_NAME), the environment over the\n"
      "file. daybook config --defaults lists all of them. Secrets come from the environment or\n"
      "from files (DAYBOOK_BUFFER_PASSWORD_FILE).\n"
      "SIGTERM finishes what is in flight and exits with 0.");
  command->callback([&choices] { choices.command = [&choices] { return run_serve(choices); }; });
}

void add_post(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand("post", "Stores files, folders or standard input");
  PostOptions& post = choices.post;
  command->add_option("FILE", post.paths, "Files; folders with all regular files below; - = stdin")
      ->required()
      ->type_name("");
  add_server_options(*command, choices, "120s");
  command
      ->add_option_function<std::string>(
          "--format", [&post](const std::string& word) { post.message = word == "message"; },
          "record, or message: POST /ingestMessage, prints the whole answer [default: record]")
      ->check(CLI::IsMember({"record", "message"}));
  command->add_option("--id", post.id, "Of a message: its sourceTransactionID [default: random]");
  command->add_option("--type", post.type, "CloudEvents type, such as org.example.login");
  command->add_option("--source", post.source, "CloudEvents source, such as /branch/7/till/3");
  command->add_option("--subject", post.subject, "CloudEvents subject");
  command->add_option("--time", post.time, "Time of the event, RFC 3339; mtime = each file's own")
      ->type_name("TIME");
  command->add_option("--content-type", post.content_type,
                      "Media type [default: from the file's extension]");
  command->add_option("--attribute", post.attributes, "Further attribute; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("--idempotency-key", post.idempotency_key,
                      "For one file: sending again under the same key stores nothing twice "
                      "[default: random for each file and run]");
  command->add_option("--retries", post.retries, "Attempts after the first [default: 8]")
      ->check(CLI::Range(0, 1000));
  command->add_option("--concurrency", post.concurrency, "Files at a time [default: 4]")
      ->check(CLI::Range(1, 256));
  command->footer(
      "A record counts as stored when its receipt names the SHA-256 of what was sent. Failed\n"
      "connections, 408, 409, 429 and 502 to 504 are tried again, as late as the server asks; "
      "that\n"
      "is safe, because every attempt carries the same idempotency key. A second run of the\n"
      "command stores the files again, unless --idempotency-key is given.\n"
      "\n"
      "Examples:\n"
      "  daybook post logs/ --source /branch/7 --time mtime\n"
      "  journalctl -o json | daybook post - --content-type application/x-ndjson\n"
      "  daybook post --json *.pdf | jq -r .id\n"
      "  daybook post --format message --type order --source till-7 --id 4711 order.json");
  command->callback([&choices] {
    choices.command = [&choices] {
      choices.post.server = server_of(choices, "120s");
      choices.post.json = choices.json;
      return run_post(choices.post);
    };
  });
}

void add_get(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand("get", "Shows one record, or fetches its payload");
  GetOptions& get = choices.get;
  command->add_option("ID", get.id, "The record's id")->required()->type_name("");
  add_server_options(*command, choices, "120s");
  command->add_flag("--payload", get.payload, "The payload instead of the record");
  command->add_option("-o,--output", get.output, "Write the payload to this file")
      ->type_name("FILE");
  command
      ->add_option("--range", get.range,
                   "Only these bytes of the payload: FIRST-LAST, FIRST- or -LENGTH")
      ->type_name("RANGE");
  command->footer(
      "A whole payload is compared with the record's SHA-256 before anything is written.\n"
      "\n"
      "Examples:\n"
      "  daybook get 019a9c3e-7d10-7abc-8def-0123456789ab\n"
      "  daybook get 019a9c3e-7d10-7abc-8def-0123456789ab --payload | jq .\n"
      "  daybook get 019a9c3e-7d10-7abc-8def-0123456789ab --range=-1000");
  command->callback([&choices] {
    choices.command = [&choices] {
      choices.get.server = server_of(choices, "120s");
      choices.get.json = choices.json;
      return run_get(choices.get);
    };
  });
}

void add_ls(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand("ls", "Lists records, the newest first");
  ListOptions& list = choices.list;
  add_server_options(*command, choices, "30s");
  command->add_option("--since", list.since, "Received at or after: RFC 3339, or an age (2h)")
      ->type_name("TIME");
  command->add_option("--until", list.until, "Received before: RFC 3339, or an age")
      ->type_name("TIME");
  command->add_option("--source", list.source, "Only of this source");
  command->add_option("--type", list.type, "Only of this type");
  command->add_option("--subject", list.subject, "Only of this subject");
  command->add_option("--state", list.state, "Only in this state, such as indexed");
  CLI::Option* limit = command->add_option("--limit", list.limit, "At most so many [default: 50]")
                           ->check(CLI::Range(1, 1'000'000));
  command->add_flag("--all", list.all, "All of them")->excludes(limit);
  command->footer(
      "Examples:\n"
      "  daybook ls --since 24h --type org.example.login\n"
      "  daybook ls --all --json | jq -r .object.key");
  command->callback([&choices] {
    choices.command = [&choices] {
      choices.list.server = server_of(choices, "30s");
      choices.list.json = choices.json;
      return run_ls(choices.list);
    };
  });
}

void add_parked(CLI::App& app, Choices& choices) {
  CLI::App* command =
      app.add_subcommand("parked", "Records the pipeline has given up on for now, and why");
  add_server_options(*command, choices, "30s");
  const auto run_with = [&choices](ParkedOptions::Action action) {
    return [&choices, action] {
      choices.command = [&choices, action] {
        choices.parked.action = action;
        choices.parked.server = server_of(choices, "30s");
        choices.parked.json = choices.json;
        return run_parked(choices.parked);
      };
    };
  };
  CLI::App* list = command->add_subcommand("list", "Lists them (also without a word)");
  CLI::App* show = command->add_subcommand("show", "Shows one of them");
  show->add_option("ID", choices.parked.ids, "The record's id")
      ->required()
      ->expected(1)
      ->type_name("");
  CLI::App* replay = command->add_subcommand("replay", "Sends them through the pipeline again");
  replay->add_option("ID", choices.parked.ids, "Record ids")->type_name("");
  replay->add_flag("--all", choices.parked.all, "All parked records");
  CLI::App* drop =
      command->add_subcommand("drop", "Destroys one of them; the reason and its facts are kept");
  drop->add_option("ID", choices.parked.ids, "The record's id")
      ->required()
      ->expected(1)
      ->type_name("");
  drop->add_option("--reason", choices.parked.reason, "Why; it is kept with the record's facts")
      ->required();
  drop->add_flag("--yes", choices.parked.yes, "Do not ask");
  for (CLI::App* sub : {list, show, replay, drop}) sub->fallthrough();
  list->callback(run_with(ParkedOptions::Action::list));
  show->callback(run_with(ParkedOptions::Action::show));
  replay->callback(run_with(ParkedOptions::Action::replay));
  drop->callback(run_with(ParkedOptions::Action::drop));
  command->require_subcommand(0, 1);
  command->footer(
      "Parked records are not lost: they stay in the buffer, and those that an outage parked are\n"
      "tried again by themselves (pipeline.parked_retry).\n"
      "\n"
      "Examples:\n"
      "  daybook parked\n"
      "  daybook parked replay --all\n"
      "  daybook parked drop 019a9c3e-7d10-7abc-8def-0123456789ab --reason \"a test by Ada\"");
  // Parents call back after their subcommands, so a choice that was made must stay.
  command->callback([&choices, run_with] {
    if (!choices.command) run_with(ParkedOptions::Action::list)();
  });
}

void add_hold(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand(
      "hold", "Legal holds: nobody can delete the object of a held record, whatever its retention");
  add_server_options(*command, choices, "30s");
  const auto run_with = [&choices](HoldOptions::Action action) {
    return [&choices, action] {
      choices.command = [&choices, action] {
        choices.hold.action = action;
        choices.hold.server = server_of(choices, "30s");
        choices.hold.json = choices.json;
        return run_hold(choices.hold);
      };
    };
  };
  CLI::App* set = command->add_subcommand("set", "Sets them");
  CLI::App* release = command->add_subcommand("release", "Releases them");
  CLI::App* show = command->add_subcommand("show", "Shows holds and retention");
  for (CLI::App* sub : {set, release, show}) {
    sub->add_option("ID", choices.hold.ids, "Record ids")->required()->type_name("");
    sub->fallthrough();
  }
  for (CLI::App* sub : {set, release}) {
    sub->add_option("--reason", choices.hold.reason, "Why; the server logs it")->type_name("TEXT");
  }
  release->add_flag("--segment", choices.hold.segment,
                    "Also of a record that shares its segment: then for all in it");
  set->callback(run_with(HoldOptions::Action::set));
  release->callback(run_with(HoldOptions::Action::release));
  show->callback(run_with(HoldOptions::Action::show));
  command->require_subcommand(1);
  command->footer(
      "Holds are kept by the object store: an S3 bucket made with Object Lock. A record that is "
      "not\n"
      "archived yet has no object to hold. One in a segment holds all records of the segment.\n"
      "\n"
      "Examples:\n"
      "  daybook hold set 019a9c3e-7d10-7abc-8def-0123456789ab --reason \"case 4711\"\n"
      "  daybook ls --all --source /till/3 --json | jq -r .id | xargs daybook hold set");
}

void add_pollers(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand(
      "pollers", "The sources that are polled, and where the server stands in them");
  add_server_options(*command, choices, "30s");
  const auto run_with = [&choices](PollersOptions::Action action) {
    return [&choices, action] {
      choices.command = [&choices, action] {
        choices.pollers.action = action;
        choices.pollers.server = server_of(choices, "30s");
        choices.pollers.json = choices.json;
        return run_pollers(choices.pollers);
      };
    };
  };
  CLI::App* list = command->add_subcommand("list", "Shows them (the default)");
  CLI::App* reset = command->add_subcommand(
      "reset", "Lets one begin at its start again; records that were kept stay as they are");
  reset->add_option("NAME", choices.pollers.name, "The poller")->required()->type_name("");
  reset->add_option("--cursor", choices.pollers.cursor, "Go on from here instead")
      ->type_name("CURSOR");
  for (CLI::App* sub : {list, reset}) sub->fallthrough();
  list->callback(run_with(PollersOptions::Action::list));
  reset->callback(run_with(PollersOptions::Action::reset));
  command->footer(
      "Examples:\n"
      "  daybook pollers\n"
      "  daybook pollers reset orders --cursor 2026-11-01T00:00:00Z");
  // Parents call back after their subcommands, so a choice that was made must stay.
  command->callback([&choices, run_with] {
    if (!choices.command) run_with(PollersOptions::Action::list)();
  });
}

void add_salvage(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand(
      "salvage", "Payloads that were refused after they had arrived, kept on this node's disk");
  add_config_options(*command, choices);
  add_server_options(*command, choices, "120s");
  SalvageOptions& options = choices.salvage;
  const auto run_with = [&choices](SalvageOptions::Action action) {
    return [&choices, action] {
      choices.command = [&choices, action] {
        choices.salvage.action = action;
        choices.salvage.sources = sources_of(choices);
        choices.salvage.server = server_of(choices, "120s");
        choices.salvage.json = choices.json;
        return run_salvage(choices.salvage);
      };
    };
  };
  CLI::App* list = command->add_subcommand("list", "Lists them (also without a word)");
  CLI::App* show = command->add_subcommand("show", "Shows what came with one of them");
  CLI::App* post = command->add_subcommand(
      "post", "Posts them again as they came; they go when the server has acknowledged them");
  post->add_option("ID", options.ids, "Their ids")->type_name("");
  post->add_flag("--all", options.all, "All of them");
  CLI::App* drop = command->add_subcommand("drop", "Destroys one of them; the reason is kept");
  for (CLI::App* one : {show, drop}) {
    one->add_option("ID", options.ids, "Its id")->required()->expected(1)->type_name("");
  }
  drop->add_option("--reason", options.reason, "Why; it is kept in salvage/log.jsonl")->required();
  drop->add_flag("--yes", options.yes, "Do not ask");
  for (CLI::App* sub : {list, show, post, drop}) sub->fallthrough();
  list->callback(run_with(SalvageOptions::Action::list));
  show->callback(run_with(SalvageOptions::Action::show));
  post->callback(run_with(SalvageOptions::Action::post));
  drop->callback(run_with(SalvageOptions::Action::drop));
  command->require_subcommand(0, 1);
  command->footer(
      "It works on node.data_dir, so run it where the server ran, with its configuration. A "
      "payload\n"
      "is posted with the key it came with, or one made of its id: posting it twice stores it "
      "once.\n"
      "\n"
      "Examples:\n"
      "  daybook salvage --config daybook.toml\n"
      "  daybook salvage post --all --config daybook.toml");
  command->callback([&choices, run_with] {
    if (!choices.command) run_with(SalvageOptions::Action::list)();
  });
}

void add_status(CLI::App& app, Choices& choices) {
  CLI::App* command = app.add_subcommand("status", "What a running server says about itself");
  add_server_options(*command, choices, "10s");
  command->footer("Exits with 1 where the server cannot be reached or is not ready.");
  command->callback([&choices] {
    choices.command = [&choices] { return run_status({server_of(choices, "10s"), choices.json}); };
  });
}

}  // namespace

void add_server_options(CLI::App& command, Choices& choices, const char* timeout) {
  command
      .add_option("--url", choices.url,
                  "The server [default: $DAYBOOK_URL, else http://127.0.0.1:7080]")
      ->type_name("URL");
  command
      .add_option("--timeout", choices.timeout_text,
                  "Time for one request [default: " + std::string(timeout) + "]")
      ->type_name("TIME")
      ->check(CLI::Validator(check_duration, ""));
  command.add_flag("--json", choices.json, "JSON instead of text, for scripts");
}

ServerAddress server_of(const Choices& choices, const char* timeout) {
  ServerAddress server;
  const std::string url = flag_or_environment(choices.url, "DAYBOOK_URL");
  if (!url.empty()) server.url = url;
  const auto given = core::parse_duration(choices.timeout_text);
  server.timeout = given ? *given : *core::parse_duration(timeout);
  return server;
}

int run_command_line(int argument_count, const char* const* arguments) {
  Choices choices;
  CLI::App app(
      "Daybook takes audit records over HTTP, answers when they are safe, and archives them.",
      "daybook");
  app.set_version_flag("--version",
                       "daybook " DAYBOOK_VERSION " (" + std::string(io::backend_name()) + ")");
  app.require_subcommand(1);
  app.footer(kFooter);
  app.get_formatter()->column_width(32);
  add_serve(app, choices);
  add_post(app, choices);
  add_get(app, choices);
  add_ls(app, choices);
  add_parked(app, choices);
  add_hold(app, choices);
  add_pollers(app, choices);
  add_salvage(app, choices);
  add_subscribers(app, choices);
  add_status(app, choices);
  add_doctor(app, choices);
  add_fsck(app, choices);
  add_rebuild_index(app, choices);
  add_metadata(app, choices);
  add_config(app, choices);
  add_size(app, choices);
  add_sim(app, choices);
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;  // prints help, version or what is wrong
  }
  return choices.command ? choices.command() : kExitUsage;
}

}  // namespace daybook::api
