#include "api/cli_records.hpp"

#include <algorithm>
#include <array>
#include <iostream>

#include <unistd.h>

#include "api/cli_output.hpp"
#include "api/local_file.hpp"
#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/record_id.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

core::WallTime wall_now() {
  return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

int usage_error(const std::string& command, const std::string& what) {
  print_error("daybook " + command + ": " + what + "\n");
  return kExitUsage;
}

int failure(const std::string& command, const std::string& what) {
  print_error("daybook " + command + ": " + what + "\n");
  return kExitFailed;
}

std::string not_an_id(const std::string& id) {
  return printable(id) +
         " is not a record id. Ids look like 019a9c3e-7d10-7abc-8def-0123456789ab; "
         "daybook ls shows them.";
}

// A member's value for people: texts as they are, the rest as JSON.
std::string shown(const boost::json::value& value) {
  if (value.is_string()) return {value.get_string().data(), value.get_string().size()};
  return boost::json::serialize(value);
}

// "received_at        2026-…", nested objects indented below their name.
std::string describe_members(const boost::json::value& object, std::size_t indent) {
  constexpr std::size_t kColumn = 18;
  std::string text;
  const boost::json::object* members = object.if_object();
  if (members == nullptr) return shown(object) + "\n";
  for (const auto& pair : *members) {
    const boost::json::value& value = pair.value();
    if (value.is_null() || (value.is_string() && value.get_string().empty())) continue;
    if (value.is_object() && value.get_object().empty()) continue;
    std::string name(pair.key().data(), pair.key().size());
    name = std::string(indent, ' ') + printable(name);
    if (value.is_object()) {
      text += name + "\n" + describe_members(value, indent + 2);
      continue;
    }
    name.resize(std::max(kColumn, name.size() + 2), ' ');
    std::string line = printable(shown(value));
    if (pair.key() == "size" || pair.key() == "stored_size") {
      line += " (" + human_bytes(count_of(object, pair.key())) + ")";
    }
    text += name + line + "\n";
  }
  return text;
}

// Why this payload must not be trusted; empty = it is what the record says.
std::string distrust_payload(const io::HttpResponse& response, const boost::json::value& record) {
  const core::Sha256 sha256 = core::sha256(core::Bytes(response.body));
  if (response.head.status == 206) {
    // A part has no digest of its own in the record; the server states one for these very bytes.
    const auto field = response.head.fields.find("Content-Digest");
    if (!field) return {};
    const auto stated = core::http::parse_content_digest(*field);
    if (!stated || (*stated && **stated != sha256)) {
      return "The part does not have the Content-Digest the server states.";
    }
    return {};
  }
  if (sha256.hex() == text_of(record, "sha256") &&
      response.body.size() == count_of(record, "size")) {
    return {};
  }
  return "The payload is damaged: the record names " + text_of(record, "sha256") + " and " +
         std::to_string(count_of(record, "size")) + " bytes, but what came has " + sha256.hex() +
         " and " + std::to_string(response.body.size()) + ". Nothing was written.";
}

int get_payload(const GetOptions& options, const boost::json::value& record) {
  io::HttpRequest request;
  request.target = "/v1/records/" + options.id + "/payload";
  request.response_bytes_max = core::limits::kBodyBytesCeiling + core::MiB;
  if (!options.range.empty()) request.fields.add("Range", "bytes=" + options.range);
  const auto response = send_request(options.server, std::move(request));
  if (!response) return failure("get", response.error().detail);
  if (response->head.status != 200 && response->head.status != 206) {
    return failure("get", describe_refusal(*response));
  }
  if (const std::string why = distrust_payload(*response, record); !why.empty()) {
    return failure("get", why);
  }
  if (options.output.empty() || options.output == "-") {
    print(core::as_text(response->body));
    return kExitOk;
  }
  if (const auto written = write_local_file(options.output, response->body); !written) {
    return failure("get", written.error().detail);
  }
  const bool whole = response->head.status == 200;
  print_error(printable(options.output) + ": " + std::to_string(response->body.size()) + " bytes" +
              (whole ? ", SHA-256 verified: " + text_of(record, "sha256")
                     : ", a part (the record's SHA-256 covers the whole)") +
              "\n");
  return kExitOk;
}

// RFC 7233 byte ranges, one of them.
bool is_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.size() < 2) return false;
  const auto digits = [](std::string_view part) {
    return std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  return digits(text.substr(0, dash)) && digits(text.substr(dash + 1));
}

// Seconds are enough for people; the whole time is in --json.
std::string short_time(const std::string& rfc3339) {
  return rfc3339.size() > 19 ? rfc3339.substr(0, 19) + "Z" : rfc3339;
}

Table record_table() {
  return Table({{"RECEIVED"},
                {"ID"},
                {"STATE"},
                {"SIZE", true},
                {"RATIO", true},
                {"TYPE", false, true},
                {"SOURCE", false, true},
                {"SUBJECT", false, true}});
}

void add_row(Table& table, const boost::json::value& record) {
  const std::uint64_t size = count_of(record, "size");
  table.add({short_time(text_of(record, "received_at")), text_of(record, "id"),
             text_of(record, "state"), human_bytes(size),
             human_ratio(size, count_of(record, "stored_size")), text_of(record, "type"),
             text_of(record, "source"), text_of(record, "subject")});
}

std::size_t output_width() {
  return is_terminal(STDOUT_FILENO) ? terminal_width(STDOUT_FILENO) : 0;
}

}  // namespace

std::optional<std::string> parse_when(std::string_view text, core::WallTime now) {
  if (const auto age = core::parse_duration(text)) return core::format_time(now - *age);
  if (const auto time = core::parse_time(text)) return core::format_time(*time);
  return std::nullopt;
}

int run_get(const GetOptions& options) {
  if (!core::RecordId::parse(options.id)) return usage_error("get", not_an_id(options.id));
  if (!options.range.empty() && !is_range(options.range)) {
    return usage_error("get", "--range is FIRST-LAST, FIRST- or -LENGTH, in bytes.");
  }
  const auto record = get_json(options.server, "/v1/records/" + options.id);
  if (!record) return failure("get", record.error().detail);
  if (options.payload || !options.output.empty() || !options.range.empty()) {
    return get_payload(options, *record);
  }
  print(options.json ? boost::json::serialize(*record) + "\n" : describe_members(*record, 0));
  return kExitOk;
}

int run_ls(const ListOptions& options) {
  std::string since = options.since;
  std::string until = options.until;
  for (std::string* when : {&since, &until}) {
    if (when->empty()) continue;
    const auto parsed = parse_when(*when, wall_now());
    if (!parsed) {
      return usage_error("ls",
                         "--since and --until take RFC 3339 (2026-11-21T04:05:06Z) or an age "
                         "(30m, 2h, 7d).");
    }
    *when = *parsed;
  }
  const unsigned page = std::min(options.all ? core::limits::kPageRecordsMax : options.limit,
                                 core::limits::kPageRecordsMax);
  std::size_t left = options.all ? SIZE_MAX : options.limit;
  std::string cursor;
  Table table = record_table();
  bool more = false;
  while (left > 0) {
    QueryBuilder query;
    query.add("since", since).add("until", until).add("source", options.source);
    query.add("type", options.type).add("subject", options.subject).add("state", options.state);
    query.add("limit", std::to_string(std::min<std::size_t>(page, left))).add("cursor", cursor);
    const auto answer = get_json(options.server, "/v1/records" + query.str());
    if (!answer) return failure("ls", answer.error().detail);
    const boost::json::value* records = member(*answer, "records");
    if (records == nullptr || !records->is_array()) {
      return failure("ls", "The server's answer has no records. Is this a Daybook?");
    }
    for (const boost::json::value& record : records->get_array()) {
      if (options.json) {
        print(boost::json::serialize(record) + "\n");
      } else {
        add_row(table, record);
      }
    }
    left -= std::min(left, records->get_array().size());
    const std::string next = text_of(*answer, "next_cursor");
    more = !next.empty();
    if (!more || next == cursor) break;
    cursor = next;
  }
  if (options.json) return kExitOk;
  if (table.empty()) {
    print_error("No records.\n");
    return kExitOk;
  }
  print(table.render(output_width()));
  if (more) print_error("There are more: --limit N or --all shows them.\n");
  return kExitOk;
}

namespace {

int list_parked(const ParkedOptions& options) {
  const auto answer = get_json(options.server, "/v1/parked");
  if (!answer) return failure("parked", answer.error().detail);
  const boost::json::value* records = member(*answer, "records");
  if (records == nullptr || !records->is_array()) {
    return failure("parked", "The server's answer has no records. Is this a Daybook?");
  }
  Table table({{"PARKED"},
               {"ID"},
               {"STAGE"},
               {"ATTEMPTS", true},
               {"SIZE", true},
               {"RETRIED"},
               {"REASON", false, true}});
  for (const boost::json::value& record : records->get_array()) {
    if (options.json) {
      print(boost::json::serialize(record) + "\n");
      continue;
    }
    table.add({short_time(text_of(record, "parked_at")), text_of(record, "id"),
               text_of(record, "stage"), std::to_string(count_of(record, "attempts")),
               human_bytes(count_of(record, "stored_size")),
               flag_of(record, "retryable") ? "by itself" : "by you", text_of(record, "reason")});
  }
  if (options.json) return kExitOk;
  if (table.empty()) {
    print_error("No parked records.\n");
    return kExitOk;
  }
  print(table.render(output_width()));
  print_error(
      "Nothing is lost: parked records stay in the buffer. When the reason is gone:\n"
      "  daybook parked replay ID...   or   daybook parked replay --all\n");
  return kExitOk;
}

int show_parked(const ParkedOptions& options) {
  const auto record = get_json(options.server, "/v1/parked/" + options.ids.front());
  if (!record) return failure("parked show", record.error().detail);
  print(options.json ? boost::json::serialize(*record) + "\n" : describe_members(*record, 0));
  return kExitOk;
}

// Asks on a terminal; elsewhere --yes must have been given.
bool confirmed(const ParkedOptions& options, const boost::json::value& record) {
  if (options.yes) return true;
  if (!is_terminal(STDIN_FILENO)) {
    print_error("daybook parked drop: nobody can be asked here; add --yes.\n");
    return false;
  }
  print_error(
      describe_members(record, 0) +
      "\nIts bytes will be destroyed; the reason and these facts are kept. Drop it? [y/N] ");
  std::string line;
  std::getline(std::cin, line);
  return line == "y" || line == "yes";
}

int drop_parked(const ParkedOptions& options) {
  const auto record = get_json(options.server, "/v1/parked/" + options.ids.front());
  if (!record) return failure("parked drop", record.error().detail);
  if (!confirmed(options, *record)) return failure("parked drop", "nothing was dropped.");
  QueryBuilder query;
  query.add("id", options.ids.front()).add("reason", options.reason);
  const auto answer = post_json(options.server, "/v1/parked/drop" + query.str());
  if (!answer) return failure("parked drop", answer.error().detail);
  print(options.json ? boost::json::serialize(*answer) + "\n"
                     : "dropped " + options.ids.front() + "; daybook get shows the account.\n");
  return kExitOk;
}

int replay_parked(const ParkedOptions& options) {
  constexpr std::size_t kIdsPerRequest = 100;  // keeps the request line below 16 KiB
  std::uint64_t replayed = 0;
  std::size_t at = 0;
  do {
    QueryBuilder query;
    if (options.all) query.add("all", "true");
    for (std::size_t i = 0; i < kIdsPerRequest && at < options.ids.size(); ++i, ++at) {
      query.add("id", options.ids[at]);
    }
    const auto answer = post_json(options.server, "/v1/parked/replay" + query.str());
    if (!answer) return failure("parked replay", answer.error().detail);
    replayed += count_of(*answer, "replayed");
  } while (at < options.ids.size());
  if (options.json) {
    print("{\"replayed\":" + std::to_string(replayed) + "}\n");
  } else {
    print(std::to_string(replayed) + (replayed == 1 ? " record goes" : " records go") +
          " through the pipeline again.\n");
  }
  if (!options.all && replayed < options.ids.size()) {
    return failure("parked replay",
                   std::to_string(options.ids.size() - replayed) + " of the ids are not parked.");
  }
  return kExitOk;
}

}  // namespace

int run_parked(const ParkedOptions& options) {
  for (const std::string& id : options.ids) {
    if (!core::RecordId::parse(id)) return usage_error("parked", not_an_id(id));
  }
  switch (options.action) {
    case ParkedOptions::Action::list:
      return list_parked(options);
    case ParkedOptions::Action::show:
      if (options.ids.size() != 1) return usage_error("parked show", "name one record id.");
      return show_parked(options);
    case ParkedOptions::Action::replay:
      if (options.ids.empty() != options.all) {
        return usage_error("parked replay", "name record ids, or --all, but not both.");
      }
      return replay_parked(options);
    case ParkedOptions::Action::drop:
      if (options.ids.size() != 1) return usage_error("parked drop", "name one record id.");
      if (core::trim(options.reason).empty()) {
        return usage_error("parked drop", "say why: --reason TEXT. It is kept.");
      }
      return drop_parked(options);
  }
  return kExitUsage;
}

}  // namespace daybook::api
