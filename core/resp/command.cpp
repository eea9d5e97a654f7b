#include "core/resp/command.hpp"

namespace daybook::core::resp {

void CommandBatch::begin(std::size_t arguments) {
  text_ += "*" + std::to_string(arguments) + "\r\n";
  ++commands_;
}

void CommandBatch::argument(std::string_view text) {
  text_ += "$" + std::to_string(text.size()) + "\r\n";
  text_ += text;
  text_ += "\r\n";
}

CommandBatch& CommandBatch::add(std::initializer_list<std::string_view> arguments) {
  begin(arguments.size());
  for (std::string_view text : arguments) argument(text);
  return *this;
}

CommandBatch& CommandBatch::add(const std::vector<std::string>& arguments) {
  begin(arguments.size());
  for (const std::string& text : arguments) argument(text);
  return *this;
}

CommandBatch& CommandBatch::add(std::initializer_list<std::string_view> arguments,
                                const Slices& last) {
  begin(arguments.size() + 1);
  for (std::string_view text : arguments) argument(text);
  text_ += "$" + std::to_string(total_bytes(last)) + "\r\n";
  for (Bytes slice : last) references_.push_back({text_.size(), slice});
  text_ += "\r\n";
  return *this;
}

CommandBatch& CommandBatch::add(const CommandBatch& other) {
  for (const Reference& reference : other.references_) {
    references_.push_back({text_.size() + reference.text_before, reference.slice});
  }
  text_ += other.text_;
  commands_ += other.commands_;
  return *this;
}

Slices CommandBatch::slices() const {
  Slices slices;
  std::size_t at = 0;
  const Bytes text = as_bytes(text_);
  for (const Reference& reference : references_) {
    if (reference.text_before > at) {
      slices.push_back(text.subspan(at, reference.text_before - at));
      at = reference.text_before;
    }
    slices.push_back(reference.slice);
  }
  slices.push_back(text.subspan(at));
  return slices;
}

}  // namespace daybook::core::resp
