// PollPlace: where a poller stands in its source. Kept durably and written only after every element
// that it passes over was acknowledged; so whatever happens in between is met again, and known by
// its key.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::polling {

struct PollPlace {
  std::string meaning;  // CursorRules::meaning() of the cursor
  std::string cursor;   // everything before it is acknowledged; empty: none yet
  // A window whose pages are not all done.
  std::string next;       // target of the next page; empty: no window is open
  std::string candidate;  // the cursor when the window is done
  // What the source said of its last answer, if that was a whole window: for If-None-Match.
  std::string validated;  // the target that these are of
  std::string etag, last_modified;
  std::optional<WallTime> completed_at;  // when the last complete window was begun
  // Elements that could not be kept and were set aside, by their digests, oldest first.
  std::deque<std::string> set_aside;

  friend bool operator==(const PollPlace&, const PollPlace&) = default;
};

[[nodiscard]] std::string to_json(const PollPlace& place);
// An empty text is a place that was never kept. Anything else that is none: Code::damaged.
[[nodiscard]] Result<PollPlace> place_from_json(std::string_view text);

}  // namespace daybook::core::polling
