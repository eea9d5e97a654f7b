// JsonCapture: the values at several JSON Pointers of one text that is read once, in pieces.
// Bounded by the largest value that is wanted, however large the text is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json_pointer.hpp"

namespace daybook::core {

class JsonCapture {
 public:
  // value_bytes_max: of a value's text; a longer one is an error of its pointer.
  JsonCapture(const std::vector<JsonPointer>& pointers, std::size_t value_bytes_max);

  // False: this is no JSON; nothing more is read, and every value is that error.
  bool feed(Bytes bytes);
  void finish();

  // Of each pointer, in their order, after finish(): its text (json_text); nullopt: nothing is
  // there, or null. Errors: invalid_argument (no JSON, a name twice), unsupported (an array or
  // object), too_large.
  [[nodiscard]] std::vector<Result<std::optional<std::string>>> values() const;

 private:
  struct Value {
    JsonPath path;
    bool open = false;
    std::uint64_t begin = 0;
    char type = 0;
    std::string raw;
    bool too_large = false;
  };
  bool read();
  void take(Value& value, std::uint64_t until);
  void on(const JsonEvent& event);

  const std::size_t raw_bytes_max_;
  const std::size_t value_bytes_max_;
  JsonEvents events_;
  std::vector<Value> values_;
  Bytes piece_;
  std::uint64_t piece_offset_ = 0;
};

}  // namespace daybook::core
