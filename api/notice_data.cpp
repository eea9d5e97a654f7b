#include "api/notice_data.hpp"

#include <boost/json.hpp>

#include "api/record_json.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::delivery::Delivery;
using core::delivery::Event;

// What each notice repeats of the row: enough to know the record by.
constexpr std::array<const char*, 10> kAlways = {"id",           "tenant",     "source", "event_id",
                                                 "type",         "subject",    "size",   "sha256",
                                                 "content_type", "received_at"};

json::value time_or_null(const std::optional<core::WallTime>& time) {
  return time ? json::value(core::format_time(*time)) : nullptr;
}

// As it was when the step was done.
json::object step_persistence(const json::object& row, Event event) {
  json::object persisted = row.at("persisted").as_object();
  if (event == Event::started) persisted["archive"] = false;
  if (event != Event::indexed) persisted["index"] = false;
  return persisted;
}

json::object step_data(const json::object& row, const Delivery& delivery, Event event) {
  json::object data;
  for (const char* name : kAlways) {
    if (const json::value* value = row.if_contains(name)) data[name] = *value;
  }
  data["state"] = to_string(event);
  data["partition"] = delivery.partition;
  data["position"] = row.at("position");
  data["persisted"] = step_persistence(row, event);
  data["started_at"] = time_or_null(delivery.row->started_at);
  if (event == Event::started) return data;
  data["archived_at"] = time_or_null(delivery.row->archived_at);
  for (const char* name : {"object", "stored_size", "stored_sha256", "attempts"}) {
    if (const json::value* value = row.if_contains(name)) data[name] = *value;
  }
  if (event == Event::archived) return data;
  data["row"] = row.at("row");
  data["indexed_at"] = core::format_time(delivery.row->indexed_at);
  return data;
}

}  // namespace

json::value payload_json(core::Bytes payload) {
  const std::string_view text = core::as_text(payload);
  const bool readable = core::is_utf8(text);
  return json::object{{"encoding", readable ? "utf-8" : "base64"},
                      {"content", readable ? std::string(text) : core::to_base64(payload)}};
}

std::string notice_data(const Delivery& delivery, Event event, json::value payload) {
  json::object data;
  if (event == Event::parked) {
    data = record_object(*delivery.row, "parked");
    add_parked(data, *delivery.parked);
    return json::serialize(data);
  }
  const json::object row = record_object(*delivery.row, delivery.row->state);
  data = event == Event::final ? row : step_data(row, delivery, event);
  data["sequence"] = delivery.number;
  if (event != Event::final) return json::serialize(data);
  data["payload_path"] = "/v1/records/" + delivery.id.str() + "/payload";
  data["payload"] = std::move(payload);
  return json::serialize(data);
}

}  // namespace daybook::api
