// JsonBase64: what stands between the quotes of a JSON string, as strict base64 (RFC 4648 section
// 4: its alphabet, padding, no line breaks, no stray bits). Pieces in, bytes out; an escape (\/,
// \u002B) may stand for any character and may be cut by a piece's end. The text is known to be a
// well-formed string. One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

class JsonBase64 {
 public:
  // offset: of the first character in the document, for errors.
  explicit JsonBase64(std::uint64_t offset) : offset_(offset) {}

  struct Step {
    std::size_t consumed = 0;
    std::size_t produced = 0;
  };
  // Decodes until the input is used or the room is full; then call again with the rest, if only an
  // empty one: more may be at hand. An error is the client's, names the byte and is final.
  Result<Step> decode(std::string_view text, MutableBytes room);
  // The string has ended: whether it may.
  [[nodiscard]] Result<void> finish() const;

  // Between two pieces: bytes that were decoded and not given yet, and the text behind them of the
  // group that goes on (an escape that is whole as the character it stands for).
  struct Unfinished {
    std::string bytes, text;
  };
  [[nodiscard]] Unfinished unfinished() const;

 private:
  Result<void> on_char(char c);
  Result<void> on_plain(char c, std::uint64_t offset);
  Failure wrong(std::uint64_t offset, std::string_view what) const;

  std::uint64_t offset_;
  std::string escape_;  // as far as it has come; empty = none goes on
  std::uint64_t escape_offset_ = 0;
  std::uint32_t bits_ = 0;
  std::uint8_t chars_ = 0;    // of the group that goes on, padding included
  std::uint8_t padding_ = 0;  // of the last group
  std::array<std::byte, 3> out_{};
  std::uint8_t out_bytes_ = 0;
  std::uint8_t out_given_ = 0;
};

}  // namespace daybook::core
