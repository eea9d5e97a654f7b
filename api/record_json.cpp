#include "api/record_json.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/json.hpp>

#include "core/http/message.hpp"
#include "core/limits.hpp"
#include "core/segment.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;

// The position of a record that no buffer could take (ladder.hpp).
constexpr std::string_view kPastTheBuffer = "archived";

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::object texts_object(const std::map<std::string, std::string>& texts) {
  json::object members;
  for (const auto& [name, value] : texts) members[name] = value;
  return members;
}

std::string& row_store() {
  static std::string name;
  return name;
}

// Where the record was made durable. The buffer's stays true when its entry was released; a row
// that was made anew from its object does not know.
json::object persistence(const core::MetadataRow& row, std::string_view state) {
  json::value buffer = row.position != kPastTheBuffer;
  if (row.position.empty()) buffer = state == "spooled" ? json::value(false) : nullptr;
  const bool object = !row.object_key.empty() || state == "archived";
  return {{"buffer", std::move(buffer)}, {"archive", object}, {"index", state == "indexed"}};
}

json::value time_or_null(const std::optional<core::WallTime>& time) {
  return time ? json::value(core::format_time(*time)) : nullptr;
}

}  // namespace

void name_row_store(std::string name) {
  row_store() = std::move(name);
}

json::object parked_object(const core::ParkedRecord& record) {
  return {{"id", record.entry.id.str()},
          {"stage", record.stage},
          {"reason", record.reason},
          {"retryable", record.retryable},
          {"attempts", record.attempts},
          {"starts", record.starts},
          {"parked_at", core::format_time(record.parked_at)},
          {"stored_size", record.entry.stored_size}};
}

void add_parked(json::object& record, const core::ParkedRecord& parked) {
  if (const auto& at = parked.entry.position; record["position"].is_null() && !at.empty()) {
    record["position"] = at;
  }
  // Parked records are in the buffer; those that got past the archive have their objects.
  record["persisted"] = {{"buffer", true},
                         {"archive", parked.stage == "index" || parked.stage == "release"},
                         {"index", parked.stage == "release"}};
  record["parked"] = parked_object(parked);
}

json::object record_object(const core::MetadataRow& row, std::string_view state) {
  const core::Envelope& envelope = row.envelope;
  json::object object = {
      {"id", envelope.id.str()},
      {"tenant", envelope.tenant},
      {"source", text_or_null(envelope.source)},
      {"event_id", text_or_null(envelope.event_id)},
      {"type", text_or_null(envelope.type)},
      {"subject", text_or_null(envelope.subject)},
      {"event_time",
       envelope.event_time ? json::value(core::format_time(*envelope.event_time)) : nullptr},
      {"content_type", text_or_null(envelope.content_type)},
      {"attributes", texts_object(envelope.attributes)},
      {"context", texts_object(envelope.context)},
      {"size", envelope.size},
      {"stored_size", row.stored_size},
      {"sha256", envelope.sha256.hex()}};
  const bool indexed = !row.object_key.empty();
  object["stored_sha256"] = indexed ? json::value(row.stored_sha256.hex()) : nullptr;
  object["received_at"] = core::format_time(envelope.received_at);
  object["durability"] = envelope.durability;
  object["partition"] = envelope.partition;
  object["position"] = text_or_null(row.position);
  object["idempotency_key"] = text_or_null(envelope.idempotency_key);
  object["object"] = nullptr;
  if (indexed) {
    object["object"] = json::object{{"key", row.object_key},
                                    {"location", row.object_location},
                                    {"version", text_or_null(row.object_version)}};
    if (const auto slice = core::slice_of(row); slice && core::segment_of_key(row.object_key)) {
      auto& where = object["object"].as_object();
      where["offset"] = slice->offset;
      where["length"] = slice->length;
    }
    object["attempts"] = row.attempts;
    object["started_at"] = time_or_null(row.started_at);
    object["archived_at"] = time_or_null(row.archived_at);
    object["indexed_at"] = core::format_time(row.indexed_at);
  }
  object["row"] = nullptr;
  if (state == "indexed") {
    object["row"] = json::object{{"store", row_store()}, {"key", envelope.id.str()}};
  }
  object["persisted"] = persistence(row, state);
  object["state"] = state;
  return object;
}

namespace {

core::Failure bad_parameter(std::string_view name, std::string_view expected) {
  return core::fail(
      core::Code::invalid_argument, core::Origin::client, core::Retry::never,
      "Query parameter '" + std::string(name) + "' must be " + std::string(expected) + ".");
}

constexpr std::array<std::string_view, 9> kParameters = {
    "since", "until", "source", "type", "subject", "state", "tenant", "limit", "cursor"};

// Every name is known and every value can be decoded: nothing that was asked for is passed over.
core::Result<void> check_parameters(std::string_view query) {
  for (std::string_view rest = query; !rest.empty();) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::string name(pair.substr(0, pair.find('=')));
    if (name.empty()) continue;
    if (std::ranges::find(kParameters, name) == kParameters.end()) {
      const std::string near = core::nearest_word(name, kParameters);
      return core::fail(core::Code::invalid_argument, core::Origin::client, core::Retry::never,
                        "Query parameter '" + name + "' is not known" +
                            (near.empty() ? "." : "; did you mean '" + near + "'?"));
    }
    if (!core::http::query_parameter(query, name))
      return bad_parameter(name, "percent-encoded text");
  }
  return {};
}

core::Result<void> read_time(std::string_view query, std::string_view name,
                             std::optional<core::WallTime>& into) {
  const auto text = core::http::query_parameter(query, name);
  if (!text) return {};
  into = core::parse_time(*text);
  if (!into) return bad_parameter(name, "an RFC 3339 time like 2026-01-31T12:00:00Z");
  return {};
}

}  // namespace

std::string record_json(const core::MetadataRow& row, std::string_view state,
                        const core::ParkedRecord* parked) {
  json::object object = record_object(row, state);
  if (parked != nullptr) add_parked(object, *parked);
  return json::serialize(object) + "\n";
}

std::string page_json(const std::vector<core::MetadataRow>& rows, std::uint32_t limit) {
  json::array records;
  for (const core::MetadataRow& row : rows) records.push_back(record_object(row, row.state));
  json::object page = {{"records", std::move(records)}, {"next_cursor", nullptr}};
  if (rows.size() == limit) page["next_cursor"] = rows.back().envelope.id.str();
  return json::serialize(page) + "\n";
}

std::string unreadable_json(const core::ParkedRecord& record) {
  const json::object object = {{"id", record.entry.id.str()},
                               {"stored_size", record.entry.stored_size},
                               {"stored_sha256", record.entry.stored_sha256.hex()},
                               {"state", "parked"},
                               {"parked", parked_object(record)}};
  return json::serialize(object) + "\n";
}

std::string dropped_json(const core::DroppedRecord& record) {
  const json::value sha256 =
      record.sha256 ? json::value(record.sha256->hex()) : json::value(nullptr);
  const json::object object = {{"id", record.id.str()},
                               {"size", record.size},
                               {"stored_size", record.parked.entry.stored_size},
                               {"sha256", sha256},
                               {"stored_sha256", record.parked.entry.stored_sha256.hex()},
                               {"state", "dropped"},
                               {"dropped",
                                {{"at", core::format_time(record.dropped_at)},
                                 {"who", text_or_null(record.who)},
                                 {"reason", record.reason}}},
                               {"parked", parked_object(record.parked)}};
  return json::serialize(object) + "\n";
}

std::string parked_json(const std::vector<core::ParkedRecord>& records) {
  json::array list;
  for (const core::ParkedRecord& record : records) list.push_back(parked_object(record));
  return json::serialize(json::object{{"records", std::move(list)}}) + "\n";
}

core::Result<core::MetadataQuery> parse_record_query(std::string_view query) {
  using core::http::query_parameter;
  if (auto known = check_parameters(query); !known) return pass(std::move(known));
  core::MetadataQuery result;
  if (auto since = read_time(query, "since", result.since); !since) return pass(std::move(since));
  if (auto until = read_time(query, "until", result.until); !until) return pass(std::move(until));
  result.tenant = query_parameter(query, "tenant");
  result.source = query_parameter(query, "source");
  result.type = query_parameter(query, "type");
  result.subject = query_parameter(query, "subject");
  result.state = query_parameter(query, "state");
  if (result.state && *result.state != "indexed") {
    return bad_parameter("state",
                         "'indexed': the list holds indexed records; GET /v1/parked lists "
                         "parked ones, and GET /v1/records/{id} knows any state");
  }
  if (const auto limit = query_parameter(query, "limit")) {
    const auto [end, error] =
        std::from_chars(limit->data(), limit->data() + limit->size(), result.limit);
    if (error != std::errc{} || end != limit->data() + limit->size() || result.limit < 1 ||
        result.limit > core::limits::kPageRecordsMax) {
      return bad_parameter("limit",
                           "a number from 1 to " + std::to_string(core::limits::kPageRecordsMax));
    }
  }
  if (const auto cursor = query_parameter(query, "cursor")) {
    result.before = core::RecordId::parse(*cursor);
    if (!result.before) return bad_parameter("cursor", "a next_cursor of an earlier page");
  }
  return result;
}

}  // namespace daybook::api
