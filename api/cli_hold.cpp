#include "api/cli_hold.hpp"

#include "api/cli_output.hpp"
#include "core/record_id.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

int usage_error(const std::string& what) {
  print_error("daybook hold: " + what + "\n");
  return kExitUsage;
}

// "ID  held, compliance until 2033-…"
std::string describe_lock(const boost::json::value& lock) {
  std::string text = printable(text_of(lock, "id")) + "  " +
                     (flag_of(lock, "legal_hold") ? "legal hold" : "no legal hold");
  if (text_of(lock, "scope") == "segment") text += " (on its whole segment)";
  const boost::json::value* retention = member(lock, "retention");
  if (retention == nullptr || !retention->is_object()) return text + ", no retention\n";
  return text + ", " + printable(text_of(*retention, "mode")) + " retention until " +
         printable(text_of(*retention, "retain_until")) + "\n";
}

}  // namespace

int run_hold(const HoldOptions& options) {
  using Action = HoldOptions::Action;
  for (const std::string& id : options.ids) {
    if (!core::RecordId::parse(id)) {
      return usage_error(printable(id) + " is not a record id; daybook ls shows them.");
    }
  }
  if (options.action == Action::release && core::trim(options.reason).empty()) {
    return usage_error("say why it is released: --reason TEXT. The server logs it.");
  }
  int status = kExitOk;
  for (const std::string& id : options.ids) {
    const std::string path = "/v1/records/" + id + "/hold";
    QueryBuilder query;
    query.add("status", options.action == Action::set ? "on" : "off");
    query.add("reason", options.reason);
    if (options.segment) query.add("scope", "segment");
    const auto answer = options.action == Action::show
                            ? get_json(options.server, path)
                            : post_json(options.server, path + query.str());
    if (!answer) {
      print_error("daybook hold: " + id + ": " + answer.error().detail + "\n");
      status = kExitFailed;
      continue;
    }
    print(options.json ? boost::json::serialize(*answer) + "\n" : describe_lock(*answer));
  }
  return status;
}

}  // namespace daybook::api
