#include "core/json_capture.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace daybook::core {

JsonCapture::JsonCapture(const std::vector<JsonPointer>& pointers, std::size_t value_bytes_max)
    // A character takes at most six bytes of an escape, and there are two quotes.
    : raw_bytes_max_(6 * value_bytes_max + 2), value_bytes_max_(value_bytes_max) {
  std::size_t depth = 0;
  for (const JsonPointer& pointer : pointers) {
    values_.push_back({.path = JsonPath(pointer), .raw = {}});
    depth = std::max(depth, pointer.tokens().size());
  }
  events_.watch_to_depth(depth);
}

bool JsonCapture::feed(Bytes bytes) {
  piece_offset_ += piece_.size();
  piece_ = bytes;
  if (!events_.error().detail.empty()) return false;
  events_.feed(bytes);
  return read();
}

void JsonCapture::finish() {
  piece_offset_ += piece_.size();
  piece_ = {};
  if (!events_.error().detail.empty()) return;
  events_.finish();
  read();
}

bool JsonCapture::read() {
  JsonEvent event;
  auto step = events_.next(event);
  for (; step == JsonEvents::Step::event; step = events_.next(event)) on(event);
  for (Value& value : values_) {
    if (value.open) take(value, piece_offset_ + piece_.size());
  }
  return step != JsonEvents::Step::wrong;
}

void JsonCapture::on(const JsonEvent& event) {
  for (Value& value : values_) {
    if (event.depth > value.path.depth()) continue;
    if (value.path.on(event, events_)) {
      value.open = true;
      value.begin = event.offset;
      value.type = event.type;
    } else if (value.open && event.kind == JsonEvent::Kind::end &&
               event.depth == value.path.depth()) {
      take(value, event.offset);
      value.open = false;
    }
  }
}

// What this piece holds of the value, up to the offset.
void JsonCapture::take(Value& value, std::uint64_t until) {
  if (value.type == '{' || value.type == '[' || value.too_large) return;
  const std::uint64_t from = std::max(value.begin, piece_offset_);
  if (from >= until) return;
  value.too_large = value.raw.size() + (until - from) > raw_bytes_max_;
  if (!value.too_large) {
    value.raw += as_text(piece_.subspan(from - piece_offset_, until - from));
  }
}

std::vector<Result<std::optional<std::string>>> JsonCapture::values() const {
  std::vector<Result<std::optional<std::string>>> all;
  const auto refuse = [](Code code, std::string detail) {
    return fail(code, Origin::client, Retry::never, std::move(detail));
  };
  for (const Value& value : values_) {
    const std::string where = value.path.pointer().str();
    if (!events_.error().detail.empty()) {
      all.emplace_back(Failure(events_.error()));
    } else if (value.path.ambiguous()) {
      all.emplace_back(
          refuse(Code::invalid_argument, "a name on the way to " + where + " stands twice"));
    } else if (!value.path.found() || value.type == 'n') {
      all.emplace_back(std::nullopt);
    } else if (value.too_large) {
      all.emplace_back(refuse(Code::too_large, "the value has more than " +
                                                   std::to_string(value_bytes_max_) + " bytes"));
    } else {
      auto text = json_text({as_bytes(value.raw), value.type});
      if (!text) {
        all.emplace_back(Failure(text.error()));
      } else if (text->size() > value_bytes_max_) {
        all.emplace_back(refuse(Code::too_large, "the value has more than " +
                                                     std::to_string(value_bytes_max_) + " bytes"));
      } else {
        all.emplace_back(std::optional(*std::move(text)));
      }
    }
  }
  return all;
}

}  // namespace daybook::core
