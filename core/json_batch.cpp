#include "core/json_batch.hpp"

#include <utility>

namespace daybook::core {

Result<void> JsonBatchReader::take() {
  for (;;) {
    auto next = elements_.next();
    if (!next) return pass(std::move(next));
    if (!*next) return {};
    JsonElement& element = **next;
    taken_.push_back({.bytes = std::string(as_text(element.bytes)),
                      .offset = element.offset,
                      .fields = {},
                      .bad = std::move(element.bad)});
  }
}

Result<void> JsonBatchReader::feed(Bytes bytes) {
  elements_.feed(bytes);
  return take();
}

Result<void> JsonBatchReader::finish() {
  elements_.finish();
  return take();
}

std::optional<BatchElement> JsonBatchReader::next() {
  if (taken_.empty()) return std::nullopt;
  BatchElement element = std::move(taken_.front());
  taken_.pop_front();
  return element;
}

}  // namespace daybook::core
