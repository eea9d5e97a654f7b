// JSON Pointer (RFC 6901), and the values it names in a text that is read once, in pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_events.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

class JsonPointer {
 public:
  JsonPointer() = default;  // the whole document
  // "" or "/items/0/name", with ~1 for / and ~0 for ~ in names. Code::invalid_argument.
  static Result<JsonPointer> parse(std::string_view text);

  [[nodiscard]] const std::vector<std::string>& tokens() const { return tokens_; }
  // The pointer's first `count` tokens as text.
  [[nodiscard]] std::string prefix(std::size_t count) const;
  [[nodiscard]] std::string str() const { return prefix(tokens_.size()); }

  friend bool operator==(const JsonPointer&, const JsonPointer&) = default;

 private:
  std::vector<std::string> tokens_;
};

// Follows the events of one text and says which value the pointer names.
class JsonPath {
 public:
  explicit JsonPath(JsonPointer pointer);

  // Each event that JsonEvents hands out, in order, with at least depth() watched. True where the
  // named value begins. Where a name on the way stands twice in its object, the first counts and
  // ambiguous() is set.
  bool on(const JsonEvent& event, const JsonEvents& events);

  [[nodiscard]] std::size_t depth() const { return pointer_.tokens().size(); }
  [[nodiscard]] const JsonPointer& pointer() const { return pointer_; }
  [[nodiscard]] bool found() const { return found_; }
  [[nodiscard]] bool ambiguous() const { return ambiguous_; }
  // "nothing at /a/b: the object at /a has no such member", for messages.
  [[nodiscard]] std::string why_not() const;

 private:
  struct Level {  // an open array or object on the way
    bool is_object = false;
    bool key_fits = false;      // the last key was the next token
    bool seen = false;          // and its value began before
    std::uint64_t members = 0;  // of an array
  };
  bool leads_on(const JsonEvent& event);

  JsonPointer pointer_;
  std::vector<std::optional<std::uint64_t>> indexes_;  // tokens that may be array indexes
  std::vector<Level> levels_;
  std::size_t deepest_ = 0;  // tokens that were found
  char deepest_type_ = 0;    // of the value there
  bool found_ = false;
  bool ambiguous_ = false;
};

// What a pointer names in a whole text that is well-formed, or else a sentence.
struct JsonFound {
  Bytes bytes;    // as they stand
  char type = 0;  // as in JsonEvent
};
// Code::not_found: nothing is there. Code::invalid_argument: no JSON, or a name on the way stands
// twice.
[[nodiscard]] Result<JsonFound> find_json(Bytes text, const JsonPointer& pointer);

// A string decoded; a number, true and false as they stand. Null, arrays and objects are
// Code::unsupported.
[[nodiscard]] Result<std::string> json_text(const JsonFound& value);

}  // namespace daybook::core
