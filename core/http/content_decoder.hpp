// Content codings of a request's body (RFC 9110 section 8.4): gzip (RFC 1952, of any number of
// members) and zstd (RFC 8878, of any number of frames, with the window of RFC 9659). Bytes in,
// bytes out; strict: only whole members count, and nothing may follow the last one. How much comes
// out is bounded by the room the caller gives, memory by the coding's window. One thread at a time.
#pragma once

#include <memory>
#include <string_view>

#include "core/http/message.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::http {

enum class Coding { identity, gzip, zstd };
[[nodiscard]] std::string_view to_string(Coding coding);

// What Accept-Encoding says of us.
inline constexpr std::string_view kAcceptedCodings = "gzip, zstd";

// Of Content-Encoding. An unknown coding, or more than one, is Code::unsupported.
[[nodiscard]] Result<Coding> content_coding(const Fields& fields);

class ContentDecoder {
 public:
  // Not for identity.
  [[nodiscard]] static std::unique_ptr<ContentDecoder> make(Coding coding);
  virtual ~ContentDecoder() = default;

  struct Step {
    std::size_t consumed = 0;  // input bytes used
    std::size_t produced = 0;  // output bytes written
  };
  // Decodes until the input is used or the output is full; then call again with the rest, if only
  // an empty one: more may be at hand. Damaged bytes are Code::invalid_argument, a window beyond
  // limits::kCodingWindowMax is Code::too_large; both say at which byte, and are final.
  virtual Result<Step> decode(Bytes input, MutableBytes output) = 0;
  // Whether the input may end here; an error says where it did.
  [[nodiscard]] virtual Result<void> finish() const = 0;
  // Memory it takes at present, about.
  [[nodiscard]] virtual std::uint64_t memory() const = 0;
};

}  // namespace daybook::core::http
