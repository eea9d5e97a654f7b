// JsonBatchReader: the values of a JSON array, or the lines of NDJSON, as records of a batch
// (json_elements.hpp cuts and checks them). Any thread, one at a time.
#pragma once

#include <deque>

#include "core/batch_reader.hpp"
#include "core/json_elements.hpp"

namespace daybook::core {

class JsonBatchReader final : public BatchReader {
 public:
  JsonBatchReader(JsonElements::Form form, std::uint64_t element_bytes_max)
      : elements_({.form = form, .element_bytes_max = element_bytes_max}) {}

  [[nodiscard]] Result<void> feed(Bytes bytes) override;
  [[nodiscard]] Result<void> finish() override;
  [[nodiscard]] std::optional<BatchElement> next() override;

 private:
  Result<void> take();

  JsonElements elements_;
  std::deque<BatchElement> taken_;
};

}  // namespace daybook::core
