// multipart/mixed bodies (RFC 2046 section 5.1), part by part while they arrive. Strict where that
// guards against losing bytes: no preamble and no epilogue, CRLF only, part headers as in HTTP.
// A part's Content-Transfer-Encoding must be binary, 8bit or 7bit: bytes are taken as they stand.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "core/batch_reader.hpp"

namespace daybook::core::http {

// The boundary parameter of a Content-Type; the error says what is wrong with it.
[[nodiscard]] Result<std::string> multipart_boundary(std::string_view content_type);

class MultipartReader final : public BatchReader {
 public:
  MultipartReader(std::string_view boundary, std::size_t part_bytes_max);

  [[nodiscard]] Result<void> feed(Bytes bytes) override;
  [[nodiscard]] Result<void> finish() override;
  [[nodiscard]] std::optional<BatchElement> next() override;

 private:
  enum class State { begin, after_delimiter, head, body, end };
  // True: something was read and there may be more; false: more bytes are needed.
  Result<bool> step();
  Result<bool> read_begin();
  Result<bool> read_after_delimiter();
  Result<bool> read_head();
  Result<bool> read_body();
  Result<bool> read_end();
  void drop(std::size_t bytes);
  [[nodiscard]] Failure refuse(const std::string& what, Code code = Code::invalid_argument) const;

  const std::string delimiter_;  // CRLF "--" boundary
  const std::size_t part_bytes_max_;
  State state_ = State::begin;
  std::string pending_;       // read, and not understood yet
  std::uint64_t offset_ = 0;  // of pending_ in the body
  std::size_t searched_ = 0;  // of pending_: no delimiter begins before
  BatchElement part_;
  std::deque<BatchElement> parts_;
};

}  // namespace daybook::core::http
