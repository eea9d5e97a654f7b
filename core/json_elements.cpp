#include "core/json_elements.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace daybook::core {
namespace {

Error too_large(std::uint64_t size, std::uint64_t max) {
  return {Code::too_large, Origin::client, Retry::never,
          "the element has " + std::to_string(size) + " bytes, more than the " +
              std::to_string(max) + " that are taken"};
}

// A whole text, strictly.
std::optional<Error> check_json(Bytes text) {
  JsonEvents events;
  events.watch_to_depth(0);
  events.feed(text);
  events.finish();
  JsonEvent event;
  auto step = events.next(event);
  while (step == JsonEvents::Step::event) step = events.next(event);
  if (step == JsonEvents::Step::wrong) return events.error();
  return std::nullopt;
}

}  // namespace

JsonElements::JsonElements(Settings settings)
    : settings_(std::move(settings)), path_(settings_.array) {
  events_.watch_to_depth(path_.depth());
}

void JsonElements::feed(Bytes bytes) {
  input_offset_ += input_.size();
  input_ = bytes;
  line_at_ = 0;
  if (settings_.form == Form::json) events_.feed(bytes);
}

void JsonElements::finish() {
  finished_ = true;
  events_.finish();
}

JsonElements::Next JsonElements::next() {
  return settings_.form == Form::lines ? next_line() : next_of_array();
}

// What this piece holds of the element that goes on, for when the next piece comes.
void JsonElements::carry() {
  if (!in_element_ || too_large_) return;
  const std::size_t from = begin_ > input_offset_ ? begin_ - input_offset_ : 0;
  if (from >= input_.size()) return;
  too_large_ = carry_.size() + (input_.size() - from) > settings_.element_bytes_max;
  if (too_large_) {
    carry_ = {};
  } else {
    carry_.append(as_text(input_.subspan(from)));
  }
}

// The element that ends before `end`, which lies in this piece.
std::optional<JsonElement> JsonElements::cut(std::uint64_t end) {
  JsonElement element{
      .index = count_++, .offset = begin_, .size = end - begin_, .bytes = {}, .bad = {}};
  in_element_ = false;
  if (element.size > settings_.element_bytes_max) {
    element.bad = too_large(element.size, settings_.element_bytes_max);
  } else if (begin_ >= input_offset_) {
    element.bytes = input_.subspan(begin_ - input_offset_, element.size);
  } else {
    carry_.append(as_text(input_.first(end - input_offset_)));
    element.bytes = as_bytes(carry_);
  }
  return element;
}

JsonElements::Next JsonElements::next_of_array() {
  if (!in_element_) carry_.clear();
  JsonEvent event;
  for (;;) {
    const auto step = events_.next(event);
    if (step == JsonEvents::Step::wrong) return Failure(events_.error());
    if (step == JsonEvents::Step::more) {
      carry();
      input_offset_ += input_.size();
      input_ = {};
      if (finished_) return at_end();
      return std::nullopt;
    }
    const bool begins = event.kind == JsonEvent::Kind::begin;
    if (!in_array_ && path_.on(event, events_)) {
      if (auto target = on_target(event); !target) return pass(std::move(target));
    } else if (in_array_ && event.depth == array_depth_) {
      if (begins) {
        in_element_ = true;
        too_large_ = false;
        begin_ = event.offset;
      } else if (event.kind == JsonEvent::Kind::end) {
        return cut(event.offset);
      }
    } else if (in_array_ && event.depth < array_depth_) {  // the array's end
      in_array_ = false;
      events_.watch_to_depth(path_.depth());
      path_.on(event, events_);
    }
  }
}

// The value that the pointer names begins.
Result<void> JsonElements::on_target(const JsonEvent& event) {
  if (event.type == '[') {
    array_depth_ = event.depth + 1;
    in_array_ = true;
    events_.watch_to_depth(array_depth_);
  } else if (settings_.one_is_enough && path_.depth() == 0) {
    array_depth_ = 0;
    in_array_ = true;
    in_element_ = true;
    too_large_ = false;
    begin_ = event.offset;
  } else if (event.type != 'n') {
    const std::string where = path_.depth() == 0 ? "the document" : path_.pointer().str();
    return fail(
        Code::unsupported, Origin::client, Retry::never,
        where + (event.type == '{' ? " is an object" : " is a single value") + ", not an array");
  }
  return {};
}

JsonElements::Next JsonElements::at_end() const {
  if (settings_.form == Form::lines || path_.found()) {
    if (!path_.ambiguous()) return std::nullopt;
    return fail(Code::invalid_argument, Origin::client, Retry::never,
                "a name on the way to " + path_.pointer().str() + " stands twice");
  }
  return fail(Code::not_found, Origin::client, Retry::never, path_.why_not());
}

// Lines end at \n; white space around the value is not part of it, and empty lines are none.
JsonElements::Next JsonElements::next_line() {
  if (!in_element_) carry_.clear();
  while (line_at_ < input_.size() || (finished_ && in_element_)) {
    if (!in_element_) {
      in_element_ = true;
      too_large_ = false;
      begin_ = input_offset_ + line_at_;
    }
    const std::string_view rest = as_text(input_).substr(line_at_);
    const std::size_t length = rest.find('\n');
    if (length == std::string_view::npos && !finished_) break;
    const bool last = length == std::string_view::npos;
    line_at_ += last ? rest.size() : length + 1;
    ++lines_;
    std::optional<JsonElement> line = cut(input_offset_ + line_at_ - (last ? 0 : 1));
    if (line->bad) return line;
    const std::string_view all = as_text(line->bytes);
    const std::size_t first = std::min(all.find_first_not_of(" \t\r"), all.size());
    const std::size_t behind = all.find_last_not_of(" \t\r") + 1;
    if (first == all.size()) {
      --count_;
      carry_.clear();
      continue;
    }
    line->bytes = line->bytes.subspan(first, behind - first);
    line->offset += first;
    line->size = line->bytes.size();
    if ((line->bad = check_json(line->bytes))) {
      line->bad->detail = "in line " + std::to_string(lines_) + ", " + line->bad->detail;
    }
    return line;
  }
  carry();
  input_offset_ += input_.size();
  input_ = {};
  line_at_ = 0;
  return std::nullopt;
}

}  // namespace daybook::core
