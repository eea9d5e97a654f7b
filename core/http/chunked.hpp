// Incremental decoder of the chunked transfer coding (RFC 9112 section 7.1), strict: CRLF only, hex
// size without sign, prefix or white space, at most 16 digits and bounded, extensions and trailers
// by their grammar and bounded. Extensions and trailer fields are checked, then dropped; trailer
// fields that would frame or route the message (RFC 9110 section 6.5.1) are violations. A plain
// state machine, so that no cut of the input changes what comes out. One thread at a time.
#pragma once

#include <string>

#include "core/limits.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::http {

class ChunkedDecoder {
 public:
  // All extensions and trailer fields of one body together: nobody needs them, so they may take
  // what a head may take and no more.
  static constexpr std::size_t kOverheadBytesMax = limits::kHeadBytesMax;

  // No message of ours is longer; sizes near 2^32 and 2^63 are where parsers part.
  static constexpr std::uint64_t kChunkBytesMax = 1024 * MiB;

  struct Step {
    std::size_t consumed = 0;  // input bytes used
    std::size_t produced = 0;  // output bytes written
    bool done = false;         // the last chunk and the trailer section were read
  };
  // Decodes as much of input as fits into output. Call again with the rest. Once done, it consumes
  // nothing. Input and output may be the same memory. With an empty output it reads up to the next
  // data byte. A violation is Code::invalid_argument, origin client, and final.
  Result<Step> decode(Bytes input, MutableBytes output);

 private:
  enum class State {
    size_start,
    size,
    size_lf,
    data,
    data_cr,
    data_lf,
    extension_start,
    extension_name,
    extension_value_start,
    extension_value,
    extension_quoted,
    extension_escape,
    extension_quoted_end,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    final_lf,
    done,
    failed,
  };
  // The state after this byte, which is no data.
  State next(char byte);
  State next_in_size(char byte);
  State next_in_extension(char byte);
  State next_in_trailer(char byte);
  [[nodiscard]] bool counts_as_overhead() const;
  State end_of_trailer_name();

  State state_ = State::size_start;
  std::uint64_t chunk_left_ = 0;
  std::size_t digits_ = 0;
  std::size_t overhead_ = 0;  // bytes of extensions and trailers so far
  std::string trailer_name_;  // as far as it may be a forbidden one
  const char* violation_ = "";
};

}  // namespace daybook::core::http
