#include "core/json_lines.hpp"

#include "core/text.hpp"

namespace daybook::core {

Result<void> JsonLinesReader::add(std::string_view piece) {
  if (line_.bytes.empty()) line_.offset = offset_;
  line_.bytes += piece;
  if (line_.bytes.size() <= line_bytes_max_) return {};
  return fail(Code::too_large, Origin::client, Retry::never,
              "The line at byte " + std::to_string(line_.offset) + " is longer than " +
                  format_size(line_bytes_max_) + ".");
}

void JsonLinesReader::end_line() {
  if (line_.bytes.ends_with('\r')) line_.bytes.pop_back();
  if (line_.bytes.find_first_not_of(" \t") != std::string::npos) lines_.push_back(std::move(line_));
  line_ = BatchElement();
}

Result<void> JsonLinesReader::feed(Bytes bytes) {
  std::string_view rest = as_text(bytes);
  for (;;) {
    const std::size_t end = rest.find('\n');
    const std::string_view piece = rest.substr(0, end);
    if (auto added = add(piece); !added) return added;
    offset_ += piece.size();
    if (end == std::string_view::npos) return {};
    end_line();
    ++offset_;
    rest.remove_prefix(end + 1);
  }
}

Result<void> JsonLinesReader::finish() {
  end_line();
  return {};
}

std::optional<BatchElement> JsonLinesReader::next() {
  if (lines_.empty()) return std::nullopt;
  BatchElement line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

}  // namespace daybook::core
