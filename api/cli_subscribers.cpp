#include "api/cli_subscribers.hpp"

#include <unistd.h>

#include "api/cli_choices.hpp"
#include "api/cli_output.hpp"
#include "core/record_id.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using Action = SubscribersOptions::Action;

std::string last_error(const boost::json::value& subscriber) {
  if (const auto* paused = member(subscriber, "paused"); paused != nullptr && paused->is_object()) {
    return text_of(*paused, "reason");
  }
  const boost::json::value* error = member(subscriber, "last_error");
  // What went wrong before it went well again is history.
  if (error == nullptr || text_of(*error, "at") < text_of(subscriber, "delivered_at")) return "";
  return text_of(*error, "detail");
}

std::string labelled(const std::string& label, const std::string& text) {
  constexpr std::size_t kColumn = 14;
  return label + std::string(kColumn - label.size(), ' ') + text + "\n";
}

int usage_error(const std::string& what) {
  print_error("daybook subscribers: " + what + "\n");
  return kExitUsage;
}

// Whether a command's words make sense before the server is asked.
std::string check(const SubscribersOptions& options) {
  for (const std::string& id : options.ids) {
    if (!core::RecordId::parse(id)) {
      return printable(id) + " is not a record id; daybook subscribers show NAME has them.";
    }
  }
  if (options.action == Action::redrive && options.ids.empty() != options.all) {
    return "say which deliveries are tried again: their record ids, or --all.";
  }
  if (options.action == Action::drop && options.ids.empty()) return "say which: a record's id.";
  if (options.action == Action::drop && core::trim(options.reason).empty()) {
    return "say why they are given up: --reason TEXT. The server logs it.";
  }
  return "";
}

int print_test(const boost::json::value& answer) {
  const bool delivered = text_of(answer, "outcome") == "delivered";
  const std::string took = human_seconds(number_of(answer, "took_ms").value_or(0) / 1000);
  if (delivered) {
    print("The test notice was acknowledged in " + took + ".\n");
    return kExitOk;
  }
  print_error("daybook subscribers: the test notice was not acknowledged: " +
              printable(text_of(answer, "detail")) + "\n");
  return kExitFailed;
}

std::string describe_change(const boost::json::value& answer, Action action) {
  const std::string name = printable(text_of(answer, "name"));
  switch (action) {
    case Action::pause:
      return name + " is paused; daybook subscribers resume " + name + " ends that.\n";
    case Action::resume:
      return name + " goes on.\n";
    case Action::redrive:
      return std::to_string(count_of(answer, "redriven")) + " deliveries are tried again.\n";
    default:
      return std::to_string(count_of(answer, "dropped")) + " deliveries were given up.\n";
  }
}

// One request for each id, or a single one.
int change(const SubscribersOptions& options, const std::string& path) {
  std::vector<std::string> ids = options.ids;
  if (ids.empty()) ids.emplace_back();
  int status = kExitOk;
  for (const std::string& id : ids) {
    QueryBuilder query;
    query.add("id", id).add("all", options.all ? "true" : "").add("reason", options.reason);
    const auto answer = post_json(options.server, path + query.str());
    if (!answer) {
      print_error("daybook subscribers: " + answer.error().detail + "\n");
      status = kExitFailed;
    } else if (options.json) {
      print(boost::json::serialize(*answer) + "\n");
    } else if (options.action == Action::test) {
      status = print_test(*answer);
    } else {
      print(describe_change(*answer, options.action));
    }
  }
  return status;
}

struct Command {
  const char* name;
  const char* help;
  Action action;
};
constexpr Command kCommands[] = {
    {"list", "Lists them (also without a word)", Action::list},
    {"show", "Shows one of them, with its parked deliveries", Action::show},
    {"pause", "Sends nothing more until it is resumed", Action::pause},
    {"resume", "Ends a pause; it goes on where it was", Action::resume},
    {"redrive", "Tries parked deliveries again", Action::redrive},
    {"drop", "Gives up the parked delivery of a record", Action::drop},
    {"test", "Sends a test notice and shows the outcome", Action::test},
};

}  // namespace

void add_subscribers(CLI::App& app, Choices& choices) {
  CLI::App* command =
      app.add_subcommand("subscribers", "Webhooks that are told of records: state and commands");
  add_server_options(*command, choices, "60s");
  SubscribersOptions& options = choices.subscribers;
  const auto run_with = [&choices](Action action) {
    return [&choices, action] {
      choices.command = [&choices, action] {
        choices.subscribers.action = action;
        choices.subscribers.server = server_of(choices, "60s");
        choices.subscribers.json = choices.json;
        return run_subscribers(choices.subscribers);
      };
    };
  };
  for (const Command& one : kCommands) {
    CLI::App* sub = command->add_subcommand(one.name, one.help);
    sub->fallthrough();
    sub->callback(run_with(one.action));
    if (one.action == Action::list) continue;
    sub->add_option("NAME", options.name, "Its name in the configuration")
        ->required()
        ->type_name("");
    const bool some = one.action == Action::redrive || one.action == Action::drop;
    if (some) sub->add_option("ID", options.ids, "Record ids")->type_name("");
    if (one.action == Action::redrive) sub->add_flag("--all", options.all, "All of them");
    if (one.action == Action::drop || one.action == Action::pause) {
      sub->add_option("--reason", options.reason, "Why; the server logs it")->type_name("TEXT");
    }
  }
  command->require_subcommand(0, 1);
  command->footer(
      "A delivery that its subscriber refuses again and again is parked; the others go on. One "
      "that\n"
      "wants no more (410), or refuses one after the other, is paused.\n"
      "\n"
      "Examples:\n"
      "  daybook subscribers\n"
      "  daybook subscribers test billing\n"
      "  daybook subscribers resume billing\n"
      "  daybook subscribers redrive billing --all");
  // Parents call back after their subcommands, so a choice that was made must stay.
  command->callback([&choices, run_with] {
    if (!choices.command) run_with(Action::list)();
  });
}

std::string render_subscribers(const boost::json::value& answer, std::size_t width) {
  const boost::json::value* list = member(answer, "subscribers");
  if (list == nullptr || !list->is_array() || list->get_array().empty()) {
    return "The server has no subscribers; [[subscriber]] in its configuration makes one.\n";
  }
  Table table({{"NAME"},
               {"STATE"},
               {"BEHIND", true},
               {"PARKED", true},
               {"URL", false, true},
               {"LAST ERROR", false, true}});
  for (const boost::json::value& one : list->get_array()) {
    table.add({text_of(one, "name"), text_of(one, "state"), std::to_string(count_of(one, "lag")),
               std::to_string(count_of(one, "parked")), text_of(one, "url"), last_error(one)});
  }
  return table.render(width);
}

std::string render_subscriber(const boost::json::value& subscriber) {
  std::string events;
  if (const auto* list = member(subscriber, "events"); list != nullptr && list->is_array()) {
    for (const boost::json::value& event : list->get_array()) {
      if (!event.is_string()) continue;
      events += (events.empty() ? "" : ", ") + std::string(event.get_string());
    }
  }
  std::string text =
      labelled("name", printable(text_of(subscriber, "name"))) +
      labelled("url", printable(text_of(subscriber, "url"))) +
      labelled("told of", printable(events)) +
      labelled("state", printable(text_of(subscriber, "state")) + " by node " +
                            printable(text_of(subscriber, "node"))) +
      labelled("behind", std::to_string(count_of(subscriber, "lag")) + " records, at " +
                             std::to_string(count_of(subscriber, "cursor"))) +
      labelled("delivered", std::to_string(count_of(subscriber, "delivered")) +
                                " notices since its node started, the last at " +
                                printable(text_of(subscriber, "delivered_at")));
  if (const auto* paused = member(subscriber, "paused"); paused != nullptr && paused->is_object()) {
    text += labelled("paused", "at " + printable(text_of(*paused, "at")) + ": " +
                                   printable(text_of(*paused, "reason")));
  }
  if (const auto* error = member(subscriber, "last_error");
      error != nullptr && error->is_object()) {
    text += labelled("last error", "at " + printable(text_of(*error, "at")) + ": " +
                                       printable(text_of(*error, "detail")));
  }
  if (const std::uint64_t missed = count_of(subscriber, "missed"); missed != 0) {
    text += labelled("missed", std::to_string(missed) +
                                   " records, whose entries were removed from the feed before it "
                                   "was told; daybook ls finds them");
  }
  text += labelled("parked", std::to_string(count_of(subscriber, "parked")) + " deliveries");
  const boost::json::value* parked = member(subscriber, "parked_deliveries");
  if (parked == nullptr || !parked->is_array()) return text;
  for (const boost::json::value& one : parked->get_array()) {
    text += "  " + printable(text_of(one, "id")) + "  after " +
            std::to_string(count_of(one, "attempts")) +
            " attempts: " + printable(text_of(one, "reason")) +
            (flag_of(one, "redriving") ? " (is tried again)" : "") + "\n";
  }
  return text;
}

int run_subscribers(const SubscribersOptions& options) {
  if (const std::string wrong = check(options); !wrong.empty()) return usage_error(wrong);
  std::string path = "/v1/subscribers";
  if (options.action != Action::list) path += "/" + core::percent_encode(options.name);
  switch (options.action) {
    case Action::pause:
      return change(options, path + "/pause");
    case Action::resume:
      return change(options, path + "/resume");
    case Action::redrive:
      return change(options, path + "/redrive");
    case Action::drop:
      return change(options, path + "/drop");
    case Action::test:
      return change(options, path + "/test");
    case Action::list:
    case Action::show:
      break;
  }
  const auto answer = get_json(options.server, path);
  if (!answer) {
    print_error("daybook subscribers: " + answer.error().detail + "\n");
    return kExitFailed;
  }
  print(options.json ? boost::json::serialize(*answer) + "\n"
        : options.action == Action::show
            ? render_subscriber(*answer)
            : render_subscribers(*answer,
                                 is_terminal(STDOUT_FILENO) ? terminal_width(STDOUT_FILENO) : 0));
  return kExitOk;
}

}  // namespace daybook::api
