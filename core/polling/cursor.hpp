// The cursor of a poller: what it becomes as answers come, and how it is sent. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/polling/rules.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::polling {

// Which of two cursors is further: as whole numbers, numbers or times where both are, else as text.
[[nodiscard]] bool is_beyond(std::string_view cursor, std::string_view than);

// The text that is sent for a cursor, moved back by the overlap. Code::invalid_argument: it is not
// of the format that is set.
[[nodiscard]] Result<std::string> sent_cursor(const CursorRules& rules, const std::string& cursor);

// Collects a window's cursor, page by page and element by element in the order they came.
class CursorTracker {
 public:
  // rules outlive it; candidate: of a window that goes on.
  CursorTracker(const CursorRules& rules, std::string candidate)
      : rules_(&rules), candidate_(std::move(candidate)) {}

  // Each element of a page; one that was not fit to be kept, too: it is passed over all the same.
  // The bytes stay alive until page(). Errors say why there is no cursor; the window cannot be
  // completed then.
  Result<void> element(Bytes bytes);
  // After the elements of a page. document: empty where the answer is no JSON; date: its Date.
  Result<void> page(Bytes document, std::optional<std::string_view> date);

  [[nodiscard]] const std::string& candidate() const { return candidate_; }

 private:
  Result<std::string> value_at(Bytes json, std::string_view where) const;

  const CursorRules* rules_;
  std::string candidate_;              // empty: nothing has been seen
  std::optional<Bytes> first_, last_;  // of the page
};

}  // namespace daybook::core::polling
