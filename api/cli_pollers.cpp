#include "api/cli_pollers.hpp"

#include "api/cli_output.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

// "2026-11-21T05:20:48Z", or a dash.
std::string moment(const boost::json::value& poller, std::string_view name) {
  const std::string text = text_of(poller, name);
  return text.empty() ? "-" : text.substr(0, 19) + "Z";
}

void print_table(const boost::json::value& answer) {
  const boost::json::value* pollers = member(answer, "pollers");
  if (pollers == nullptr || !pollers->is_array() || pollers->get_array().empty()) {
    return print("No source is polled; [[poller]] in the configuration names them.\n");
  }
  Table table({{"NAME"},
               {"STATE"},
               {"COMPLETE UNTIL"},
               {"RECORDS", true},
               {"POLLED BY", false, true},
               {"DETAIL", false, true}});
  for (const boost::json::value& poller : pollers->get_array()) {
    table.add({text_of(poller, "name"), text_of(poller, "state"), moment(poller, "last_success_at"),
               std::to_string(count_of(poller, "records")), text_of(poller, "polled_by"),
               text_of(poller, "detail")});
  }
  print(table.render(is_terminal(1) ? terminal_width(1) : 0));
}

}  // namespace

int run_pollers(const PollersOptions& options) {
  QueryBuilder query;
  query.add("name", options.name).add("cursor", options.cursor);
  const auto answer = options.action == PollersOptions::Action::list
                          ? get_json(options.server, "/v1/pollers")
                          : post_json(options.server, "/v1/pollers/reset" + query.str());
  if (!answer) {
    print_error("daybook pollers: " + answer.error().detail + "\n");
    return kExitFailed;
  }
  if (options.json) {
    print(boost::json::serialize(*answer) + "\n");
  } else if (options.action == PollersOptions::Action::reset) {
    print(printable(options.name) + (options.cursor.empty()
                                         ? " begins at the start again.\n"
                                         : " goes on from " + printable(options.cursor) + ".\n"));
  } else {
    print_table(*answer);
  }
  return kExitOk;
}

}  // namespace daybook::api
