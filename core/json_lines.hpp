// NDJSON bodies: one JSON value a line, LF or CRLF; the last line may lack its end, empty lines are
// passed over. Lines are cut here; whether one is JSON is judged by whoever takes it.
#pragma once

#include <deque>
#include <string>

#include "core/batch_reader.hpp"

namespace daybook::core {

class JsonLinesReader final : public BatchReader {
 public:
  explicit JsonLinesReader(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  [[nodiscard]] Result<void> feed(Bytes bytes) override;
  [[nodiscard]] Result<void> finish() override;
  [[nodiscard]] std::optional<BatchElement> next() override;

 private:
  [[nodiscard]] Result<void> add(std::string_view piece);
  void end_line();

  const std::size_t line_bytes_max_;
  BatchElement line_;
  std::uint64_t offset_ = 0;
  std::deque<BatchElement> lines_;
};

}  // namespace daybook::core
