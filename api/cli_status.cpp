#include "api/cli_status.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "api/cli_output.hpp"

namespace daybook::api {
namespace {

const boost::json::value& part(const boost::json::value& document, std::string_view name) {
  static const boost::json::value nothing;
  const boost::json::value* value = member(document, name);
  return value == nullptr ? nothing : *value;
}

std::string labelled(const std::string& label, const std::string& text) {
  constexpr std::size_t kColumn = 12;
  return label + std::string(kColumn - label.size(), ' ') + text + "\n";
}

std::string render_checks(const boost::json::value& checks) {
  if (!checks.is_array()) return {};
  std::string text;
  for (const boost::json::value& check : checks.get_array()) {
    const bool ok = flag_of(check, "ok");
    const char* mark = ok ? "ok    " : flag_of(check, "required") ? "FAIL  " : "warn  ";
    std::string name = printable(text_of(check, "name"));
    name.resize(std::max<std::size_t>(14, name.size() + 1), ' ');
    std::string line = "  " + (mark + name) + printable(text_of(check, "detail"));
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string render_records(const boost::json::value& records) {
  std::string text;
  for (const char* name : {"accepted", "released", "pending", "parked", "dropped"}) {
    text += (text.empty() ? "" : ", ") + std::to_string(count_of(records, name)) + " " + name;
  }
  const double unaccounted = number_of(records, "unaccounted").value_or(0);
  if (unaccounted != 0) {
    text +=
        "\n            UNACCOUNTED FOR: " + std::to_string(static_cast<long long>(unaccounted)) +
        " (accepted must equal released + pending + parked + dropped; see the runbook)";
  }
  return text;
}

std::string render_buffer(const boost::json::value& buffer) {
  std::string text = human_bytes(count_of(buffer, "bytes")) + " waiting";
  if (const auto age = number_of(buffer, "oldest_seconds"); age && *age > 0) {
    text += ", the oldest for " + human_seconds(*age);
  }
  text += "; Redis uses " + human_bytes(count_of(buffer, "memory_bytes"));
  const std::uint64_t memory_max = count_of(buffer, "memory_max_bytes");
  text += memory_max == 0 ? ", no limit set" : " of " + human_bytes(memory_max);
  const boost::json::value& servers = part(buffer, "servers");
  if (servers.is_array() && servers.get_array().size() > 1) {
    text += " on " + std::to_string(servers.get_array().size()) + " masters";
  }
  const std::string confirm = text_of(buffer, "replicas_confirm_with");
  return confirm.empty() ? text : text + "; replicas confirm with " + printable(confirm);
}

std::string render_advice(const boost::json::value& advice) {
  std::string text;
  if (!advice.is_array()) return text;
  for (const boost::json::value& one : advice.get_array()) {
    if (!one.is_string()) continue;
    text += labelled("advice", printable(std::string(one.get_string())));
  }
  return text;
}

// "3: 2 delivering, 1 paused (crm); ..." of what has a name and a state.
std::string render_states(const boost::json::array& all, std::string_view good) {
  std::map<std::string, std::size_t> counts;
  std::string others;
  for (const boost::json::value& one : all) {
    const std::string state = text_of(one, "state");
    ++counts[state];
    if (state == good || state == "standby" || state == "disabled") continue;
    others += (others.empty() ? "" : ", ") + text_of(one, "name");
  }
  std::string text;
  for (const auto& [state, count] : counts) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + state;
  }
  return printable(others.empty() ? text : text + " (" + others + ")");
}

std::string render_subscribers(const boost::json::value& all) {
  if (!all.is_array() || all.get_array().empty()) return "";
  std::uint64_t behind = 0;
  std::uint64_t parked = 0;
  for (const boost::json::value& one : all.get_array()) {
    behind = std::max(behind, count_of(one, "lag"));
    parked += count_of(one, "parked");
  }
  return labelled("subscribers", render_states(all.get_array(), "delivering") +
                                     "; furthest behind " + std::to_string(behind) + " records; " +
                                     std::to_string(parked) + " parked");
}

std::string render_pollers(const boost::json::value& all) {
  if (!all.is_array() || all.get_array().empty()) return "";
  return labelled("pollers", render_states(all.get_array(), "ok"));
}

}  // namespace

std::string render_status(const boost::json::value& status, const boost::json::value& readiness) {
  const bool ready = flag_of(readiness, "ready");
  std::string text = "daybook " + printable(text_of(status, "version")) +
                     (ready ? " is ready" : " is NOT READY") + ": role " +
                     printable(text_of(status, "role")) + ", " +
                     printable(text_of(status, "runtime")) + ", up " +
                     human_seconds(number_of(status, "uptime_seconds").value_or(0)) + "\n";
  text += render_checks(part(readiness, "checks"));
  text += labelled("records", render_records(part(status, "records")));
  text += labelled("buffer", render_buffer(part(status, "buffer")));
  text += render_advice(part(part(status, "buffer"), "advice"));
  const boost::json::value& stages = part(part(status, "pipeline"), "in_flight");
  std::string in_flight;
  for (const char* stage : {"transform", "archive", "index", "release"}) {
    if (member(stages, stage) == nullptr) continue;
    in_flight +=
        (in_flight.empty() ? "" : ", ") + std::to_string(count_of(stages, stage)) + " in " + stage;
  }
  text += labelled("pipeline", in_flight);
  text += render_subscribers(part(status, "subscribers"));
  text += render_pollers(part(status, "pollers"));
  const boost::json::value& memory = part(status, "memory");
  text += labelled("memory", human_bytes(count_of(memory, "in_flight_bytes")) + " of " +
                                 human_bytes(count_of(memory, "max_bytes")) +
                                 " for payloads in flight; " +
                                 human_bytes(count_of(memory, "resident_bytes")) + " resident");
  const boost::json::value& disk = part(status, "disk");
  text += labelled("disk", human_bytes(count_of(disk, "free_bytes")) +
                               " free; records are refused "
                               "below " +
                               human_bytes(count_of(disk, "reserve_bytes")));
  return text;
}

int run_status(const StatusOptions& options) {
  const auto status = get_json(options.server, "/v1/status");
  if (!status) {
    print_error("daybook status: " + status.error().detail + "\n");
    return kExitFailed;
  }
  if (options.json) {
    print(boost::json::serialize(*status) + "\n");
    return flag_of(*status, "ready") ? kExitOk : kExitFailed;
  }
  // 503 is an answer here, not a failure.
  io::HttpRequest request;
  request.target = "/readyz";
  const auto answer = send_request(options.server, std::move(request));
  if (!answer) {
    print_error("daybook status: " + answer.error().detail + "\n");
    return kExitFailed;
  }
  const auto readiness = parse_json(answer->body);
  const boost::json::value& checks = readiness ? *readiness : *status;
  print(render_status(*status, checks));
  return flag_of(checks, "ready") ? kExitOk : kExitFailed;
}

}  // namespace daybook::api
