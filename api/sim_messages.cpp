#include "api/sim_messages.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;

void find_in_text(std::string_view text, const std::function<void(std::uint64_t)>& found) {
  const auto look = [&found](std::string_view document) {
    boost::system::error_code error;
    const auto value = json::parse({document.data(), document.size()}, error);
    if (error || value.is_string()) return false;
    find_messages(value, found);
    return true;
  };
  if (text.starts_with('{') || text.starts_with('[')) {
    look(text);
  } else if (const auto bytes = core::from_base64(text)) {
    look(core::as_text(*bytes));
  }
}

}  // namespace

std::string sim_batch(std::uint64_t first, std::uint64_t last,
                      const std::function<core::WallTime(std::uint64_t)>& time_of) {
  json::array batch;
  for (std::uint64_t id = first; id <= last; ++id) {
    batch.push_back(json::object{{"id", id},
                                 {"timestamp", core::format_time(time_of(id))},
                                 {"message", "message " + std::to_string(id)}});
  }
  return json::serialize(batch);
}

void find_messages(const json::value& document, const std::function<void(std::uint64_t)>& found) {
  if (const auto* array = document.if_array()) {
    for (const json::value& element : *array) find_messages(element, found);
  } else if (const auto* text = document.if_string()) {
    find_in_text(*text, found);
  } else if (const auto* object = document.if_object()) {
    const json::value* id = object->if_contains("id");
    boost::system::error_code error;
    const bool numbered = id != nullptr && id->is_number();
    if (numbered && object->contains("timestamp") && object->contains("message")) {
      const auto number = id->to_number<std::uint64_t>(error);
      return error ? void() : found(number);
    }
    for (const auto& member : *object) find_messages(member.value(), found);
  }
}

}  // namespace daybook::api
