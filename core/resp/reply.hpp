// RESP2 replies as values, and the incremental reader (hiredis underneath). No I/O here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::resp {

struct Reply {
  enum class Type { nil, status, error, integer, text, array } type = Type::nil;
  std::int64_t integer = 0;
  std::string text;  // status, error, text
  std::vector<Reply> elements;

  [[nodiscard]] bool is_error() const { return type == Type::error; }
  [[nodiscard]] bool is_nil() const { return type == Type::nil; }
  [[nodiscard]] bool is_array() const { return type == Type::array; }
};

// Bytes in, replies out, in order. A protocol error is final.
class ReplyReader {
 public:
  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  Result<void> feed(Bytes bytes);
  // nullopt: more bytes are needed.
  Result<std::optional<Reply>> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace daybook::core::resp
