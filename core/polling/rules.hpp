// What a poller was told, in the form it works with (api/poller_settings makes it of a [[poller]]).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/json_pointer.hpp"
#include "core/units.hpp"

namespace daybook::core::polling {

enum class Form { by_type, json, lines, raw };
enum class CursorFrom { none, last, first, max, answer, date };
enum class CursorFormat { text, rfc3339, seconds, milliseconds };
enum class NextFrom { none, link, member, cursor };

struct CursorRules {
  CursorFrom from = CursorFrom::none;
  JsonPointer path{};
  std::string parameter{};
  std::string start{};
  CursorFormat format = CursorFormat::text;
  Duration overlap{};

  // What its text means; a cursor that was kept under another meaning must not be sent.
  [[nodiscard]] std::string meaning() const;
};

struct NextRules {
  NextFrom from = NextFrom::none;
  JsonPointer path;
  std::string parameter;  // empty: the member is a URL
};

struct ElementRules {
  std::string poller;
  std::string tenant, type, source, subject, content_type;
  std::map<std::string, std::string> attributes;
  std::optional<JsonPointer> id;
  std::map<std::string, JsonPointer> paths;  // attribute -> where it is in the element
};

struct ScheduleRules {
  Duration interval{};
  Duration jitter{};
  Duration backoff_max{};
};

struct PollRules {
  std::string name;
  std::string origin;  // "https://example.com:8443"
  std::string target;  // path and query
  Form form = Form::by_type;
  JsonPointer elements;
  ElementRules element;
  CursorRules cursor;
  NextRules next;
  ScheduleRules schedule;
  std::uint64_t pages_max = 1;
  bool conditional = true;
};

}  // namespace daybook::core::polling
