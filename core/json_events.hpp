// JsonEvents: one JSON text (RFC 8259), strictly read in pieces of any size, as events with byte
// offsets. Nothing is kept of values and nothing is written anew: whoever wants the bytes of a
// value cuts them out at its offsets. Memory: one bit a level and one key.
//
// Strict: UTF-8, no byte order mark, no comments, no comma at the end, one value and nothing behind
// it. Keys may repeat; who looks for one decides what that means (json_pointer.hpp).
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/limits.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

struct JsonEvent {
  enum class Kind : std::uint8_t { key, begin, end } kind = Kind::begin;
  char type = 0;             // of a value: { [ " t f n as it begins, and 0 (the digit) for a number
  std::uint32_t depth = 0;   // how many arrays and objects are around it
  std::uint64_t offset = 0;  // of the first byte; at the end, of the byte behind it
};

class JsonEvents {
 public:
  enum class Step : std::uint8_t { event, more, wrong };

  // From here on only values with at most so many arrays and objects around them are events, and
  // the keys of those.
  void watch_to_depth(std::size_t depth) { watched_depth_ = depth; }

  // From here on half of a surrogate pair, which RFC 8259 section 8.2 leaves to fate, is wrong.
  void refuse_half_pairs() { whole_pairs_only_ = true; }

  // The bytes stay alive until next() has asked for more.
  void feed(Bytes bytes);
  // There is nothing more; next() then tells whether it was all.
  void finish() { finished_ = true; }
  // more after finish(): the text was whole.
  Step next(JsonEvent& event);

  // Decoded, of the last key event; nullopt where it is longer than kKeyBytesMax or has half of a
  // surrogate pair: no name to look for.
  [[nodiscard]] std::optional<std::string> key() const;
  // After wrong: "byte 17: a comma or } is missing". Code::invalid_argument.
  [[nodiscard]] const Error& error() const { return error_; }
  // Bytes read so far.
  [[nodiscard]] std::uint64_t offset() const { return base_ + at_; }

  static constexpr std::size_t kKeyBytesMax = 4 * KiB;

 private:
  enum class State : std::uint8_t {
    value,
    value_or_end,  // behind [
    key_or_end,    // behind {
    key,
    colon,
    after_value,
    string,
    escape,
    hex,
    continuation,
    literal,
    minus,
    zero,
    integer,
    point,
    fraction,
    exponent,
    exponent_sign,
    exponent_digits,
    done
  };

  // What a byte led to: an event to hand out, the next byte, or a mistake.
  Step on_value(char c, JsonEvent& event);
  Step on_key(char c, JsonEvent& event);
  Step on_after_value(char c, JsonEvent& event);
  Step on_string(JsonEvent& event);
  Step on_escape(char c);
  Step on_lead_byte(unsigned char c);
  Step on_continuation(unsigned char c);
  Step on_literal(char c, JsonEvent& event);
  Step on_number(char c, JsonEvent& event);
  Step on_end(JsonEvent& event);
  Step open(char type, JsonEvent& event);
  Step close(char type, JsonEvent& event);
  Step end_value(std::uint64_t offset, JsonEvent& event);
  Step wrong(std::string_view what);
  [[nodiscard]] bool in_object() const { return depth_ > 0 && is_object_[depth_ - 1]; }
  void keep_key(std::size_t from);

  const char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t at_ = 0;
  std::uint64_t base_ = 0;  // offset of data_[0]
  bool finished_ = false;

  State state_ = State::value;
  char type_ = 0;          // of the value that goes on
  bool in_key_ = false;    // the string is one
  std::size_t depth_ = 0;  // open arrays and objects
  std::bitset<limits::kJsonDepthMax> is_object_;
  std::size_t watched_depth_ = limits::kJsonDepthMax;

  std::string_view literal_;                // what of it is still to come
  std::uint8_t pending_ = 0;                // hex digits or continuation bytes to come
  unsigned char low_ = 0x80, high_ = 0xBF;  // bounds of the next continuation byte
  bool whole_pairs_only_ = false;
  std::uint32_t hex_ = 0;       // the digits of \u so far
  bool owes_low_half_ = false;  // the last \u was the first half of a pair
  std::string key_;             // as it stands in the text
  bool key_too_long_ = false;
  Error error_;
};

// What stands between the quotes of a JSON string, decoded; nullopt where it has half of a
// surrogate pair. The text is known to be well-formed.
[[nodiscard]] std::optional<std::string> json_unescape(std::string_view raw);

}  // namespace daybook::core
