// BatchReader: one body that holds many records, cut into them while it arrives. Sans-I/O: bytes
// in, elements out. Readers: http/multipart, json_batch.
// Any thread, one at a time.
//
//   feed(bytes) -> next() … until nothing -> feed(bytes) … -> finish() -> next() … until nothing
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/http/message.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

struct BatchElement {
  std::string bytes;         // exactly as they stood in the body
  std::uint64_t offset = 0;  // of their first byte in the body
  http::Fields fields;       // what the element says about itself; of multipart only
  std::optional<Error> bad;  // why it is no record, where those after it can be read all the same
};

class BatchReader {
 public:
  virtual ~BatchReader() = default;
  // Errors are the client's and name the byte: Code::invalid_argument, or too_large for an element
  // above the limit. After one nothing more is read; elements before it are still handed out.
  [[nodiscard]] virtual Result<void> feed(Bytes bytes) = 0;
  // The body has ended; an error where it ended too early.
  [[nodiscard]] virtual Result<void> finish() = 0;
  // The next complete element.
  [[nodiscard]] virtual std::optional<BatchElement> next() = 0;
};

}  // namespace daybook::core
