#include "core/polling/cursor.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/text.hpp"

namespace daybook::core::polling {
namespace {

// The Date of an answer has whole seconds: what appears later in the same second must come along.
constexpr auto kDateResolution = std::chrono::seconds(1);

Failure refuse(std::string detail) {
  return fail(Code::invalid_argument, Origin::client, Retry::safe, std::move(detail));
}

bool is_whole(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Of any length: identifiers are often beyond 64 bits.
bool is_larger_whole(std::string_view a, std::string_view b) {
  const auto without_zeros = [](std::string_view digits) {
    return digits.substr(std::min(digits.find_first_not_of('0'), digits.size() - 1));
  };
  const bool a_negative = a.starts_with('-');
  const bool b_negative = b.starts_with('-');
  if (a_negative != b_negative) return b_negative;
  if (a_negative) return is_larger_whole(b.substr(1), a.substr(1));
  a = without_zeros(a);
  b = without_zeros(b);
  return a.size() != b.size() ? a.size() > b.size() : a > b;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Seconds or milliseconds since 1970, perhaps with a fraction.
std::optional<WallTime> epoch_time(std::string_view text, double per_second) {
  const auto value = number(text);
  // Beyond the year 9999 it is another unit.
  if (!value || *value < 0 || *value / per_second > 253402300799.0) return std::nullopt;
  return WallTime(
      std::chrono::microseconds(static_cast<std::int64_t>(*value * (1'000'000.0 / per_second))));
}

std::optional<WallTime> time_of(CursorFormat format, std::string_view text) {
  if (format == CursorFormat::seconds) return epoch_time(text, 1);
  if (format == CursorFormat::milliseconds) return epoch_time(text, 1000);
  return parse_time(text);
}

std::string format_cursor(CursorFormat format, WallTime time) {
  using namespace std::chrono;
  if (format == CursorFormat::seconds) {
    return std::to_string(floor<seconds>(time).time_since_epoch().count());
  }
  if (format == CursorFormat::milliseconds) {
    return std::to_string(floor<milliseconds>(time).time_since_epoch().count());
  }
  return format_time(time);
}

std::string_view word(CursorFrom from) {
  constexpr std::string_view kWords[] = {"none", "last", "first", "max", "answer", "date"};
  return kWords[static_cast<std::size_t>(from)];
}

std::string_view word(CursorFormat format) {
  constexpr std::string_view kWords[] = {"text", "rfc3339", "seconds", "milliseconds"};
  return kWords[static_cast<std::size_t>(format)];
}

}  // namespace

std::string CursorRules::meaning() const {
  if (from == CursorFrom::none) return "none";
  return std::string(word(from)) + " " + path.str() + " as " + std::string(word(format)) + " in " +
         parameter;
}

bool is_beyond(std::string_view cursor, std::string_view than) {
  if (than.empty()) return !cursor.empty();
  if (is_whole(cursor) && is_whole(than)) return is_larger_whole(cursor, than);
  const auto number_a = number(cursor);
  const auto number_b = number(than);
  if (number_a && number_b) return *number_a > *number_b;
  const auto time_a = parse_time(cursor);
  const auto time_b = parse_time(than);
  // Equal to the microsecond: the longer fraction may be the later one.
  if (time_a && time_b && *time_a != *time_b) return *time_a > *time_b;
  return cursor > than;
}

Result<std::string> sent_cursor(const CursorRules& rules, const std::string& cursor) {
  if (cursor.empty() || rules.format == CursorFormat::text) return cursor;
  const auto time = time_of(rules.format, cursor);
  if (!time) {
    return refuse("the cursor '" + cursor.substr(0, 100) + "' is not of cursor_format " +
                  std::string(word(rules.format)));
  }
  if (rules.overlap == Duration{}) return cursor;
  const auto overlap = std::chrono::duration_cast<WallTime::duration>(rules.overlap);
  return format_cursor(rules.format, std::max(WallTime{}, *time - overlap));
}

Result<std::string> CursorTracker::value_at(Bytes json, std::string_view where) const {
  const auto found = find_json(json, rules_->path);
  auto text = found ? json_text(*found) : Result<std::string>(Failure(found.error()));
  if (!text) {
    return refuse("cursor_path, " + std::string(where) + ": " + text.error().detail);
  }
  if (text->empty()) return refuse("cursor_path, " + std::string(where) + ": it is empty");
  constexpr std::size_t kBytesMax = 4096;  // it goes into a URL
  if (text->size() > kBytesMax) {
    return refuse("cursor_path, " + std::string(where) + ": it has " +
                  std::to_string(text->size()) + " bytes");
  }
  return text;
}

Result<void> CursorTracker::element(Bytes bytes) {
  if (!first_) first_ = bytes;
  last_ = bytes;
  if (rules_->from != CursorFrom::max) return {};
  auto value = value_at(bytes, "in an element");
  if (!value) return pass(std::move(value));
  if (is_beyond(*value, candidate_)) candidate_ = *std::move(value);
  return {};
}

Result<void> CursorTracker::page(Bytes document, std::optional<std::string_view> date) {
  const auto first = std::exchange(first_, std::nullopt);
  const auto last = std::exchange(last_, std::nullopt);
  Result<std::string> value = candidate_;
  if (rules_->from == CursorFrom::last && last) value = value_at(*last, "in the last element");
  if (rules_->from == CursorFrom::first && first && candidate_.empty()) {
    value = value_at(*first, "in the first element");
  }
  if (rules_->from == CursorFrom::answer) {
    const auto found = find_json(document, rules_->path);
    // Nothing new, and no new cursor.
    if (last || (found && found->type != 'n')) value = value_at(document, "in the answer");
  }
  // Of the first page: what appears while the others are fetched comes with the next poll.
  if (rules_->from == CursorFrom::date && candidate_.empty()) {
    const auto time = parse_http_date(date.value_or(""));
    if (!time) return refuse("cursor = \"date\", but the answer has no Date that can be read");
    value = format_cursor(rules_->format, *time - kDateResolution);
  }
  if (!value) return pass(std::move(value));
  candidate_ = *std::move(value);
  return {};
}

}  // namespace daybook::core::polling
