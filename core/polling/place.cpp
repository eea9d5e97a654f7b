#include "core/polling/place.hpp"

#include <boost/json.hpp>

#include "core/text.hpp"

namespace daybook::core::polling {
namespace {

namespace json = boost::json;

constexpr std::size_t kSetAsideMax = 1000;

// The members that are plain texts.
constexpr std::pair<std::string_view, std::string PollPlace::*> kTexts[] = {
    {"meaning", &PollPlace::meaning},
    {"cursor", &PollPlace::cursor},
    {"next", &PollPlace::next},
    {"candidate", &PollPlace::candidate},
    {"validated", &PollPlace::validated},
    {"etag", &PollPlace::etag},
    {"last_modified", &PollPlace::last_modified}};

}  // namespace

std::string to_json(const PollPlace& place) {
  json::object object;
  for (const auto& [name, member] : kTexts) {
    if (!(place.*member).empty()) object[name] = place.*member;
  }
  if (place.completed_at) object["completed_at"] = format_time(*place.completed_at);
  const std::size_t skip =
      place.set_aside.size() > kSetAsideMax ? place.set_aside.size() - kSetAsideMax : 0;
  if (!place.set_aside.empty()) {
    object["set_aside"] = json::array(place.set_aside.begin() + static_cast<std::ptrdiff_t>(skip),
                                      place.set_aside.end());
  }
  return json::serialize(object);
}

Result<PollPlace> place_from_json(std::string_view text) {
  PollPlace place;
  if (text.empty()) return place;
  const auto damaged = [] {
    return fail(Code::damaged, Origin::buffer, Retry::never,
                "the poller's place that is kept cannot be read; somebody else wrote it");
  };
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return damaged();
  const json::object& object = value.get_object();
  for (const auto& [name, member] : kTexts) {
    const json::value* found = object.if_contains(name);
    if (found == nullptr) continue;
    if (!found->is_string()) return damaged();
    place.*member = found->get_string();
  }
  if (const json::value* time = object.if_contains("completed_at")) {
    if (!time->is_string()) return damaged();
    place.completed_at = parse_time(time->get_string());
    if (!place.completed_at) return damaged();
  }
  if (const json::value* digests = object.if_contains("set_aside")) {
    if (!digests->is_array()) return damaged();
    for (const json::value& digest : digests->get_array()) {
      if (!digest.is_string()) return damaged();
      place.set_aside.emplace_back(digest.get_string());
    }
  }
  return place;
}

}  // namespace daybook::core::polling
