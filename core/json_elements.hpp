// JsonElements: the elements of a JSON array, or the lines of NDJSON, each with exactly the bytes
// that came, from a document that arrives in pieces of any size. Bounded by the largest element:
// only one that spans pieces is copied.
//
//   elements.feed(piece);
//   while (auto e = elements.next(); e && *e) … (*e)->bytes, valid until the next call …
//
// The array is the document, or is where a JSON Pointer finds it. The document is checked strictly
// to its end (json_events.hpp): what is wrong behind an element is known only after it was handed
// out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json_pointer.hpp"

namespace daybook::core {

struct JsonElement {
  std::uint64_t index = 0;   // counts from 0, in order
  std::uint64_t offset = 0;  // of its first byte in the document
  std::uint64_t size = 0;
  Bytes bytes;               // empty where it is too large
  std::optional<Error> bad;  // too_large; of a line also invalid_argument: it is no JSON
};

class JsonElements {
 public:
  enum class Form : std::uint8_t { json, lines };
  struct Settings {
    Form form = Form::json;
    JsonPointer array = {};  // for json
    // For json without a pointer: a document that is no array is the one element.
    bool one_is_enough = false;
    std::uint64_t element_bytes_max = 0;
  };
  explicit JsonElements(Settings settings);

  // The bytes stay alive until next() has returned nullopt.
  void feed(Bytes bytes);
  void finish();
  // nullopt: feed more; after finish(): that was all. Errors are final: invalid_argument with the
  // byte where the document is wrong; not_found where the pointer finds nothing; unsupported where
  // it finds no array. A null in the place of the array is an empty one.
  Result<std::optional<JsonElement>> next();

 private:
  using Next = Result<std::optional<JsonElement>>;
  Next next_of_array();
  Next next_line();
  Next at_end() const;
  Result<void> on_target(const JsonEvent& event);
  std::optional<JsonElement> cut(std::uint64_t end);
  void carry();

  Settings settings_;
  JsonEvents events_;
  JsonPath path_;
  std::uint64_t array_depth_ = 0;  // elements have this depth
  bool in_array_ = false;
  bool in_element_ = false;
  std::uint64_t begin_ = 0;  // of the element that goes on
  std::uint64_t count_ = 0;

  Bytes input_;
  std::uint64_t input_offset_ = 0;  // of input_[0] in the document
  std::size_t line_at_ = 0;         // in input_
  std::uint64_t lines_ = 0;
  bool finished_ = false;
  std::string carry_;  // what earlier pieces held of the element
  bool too_large_ = false;
};

}  // namespace daybook::core
