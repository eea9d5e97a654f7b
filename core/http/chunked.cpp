#include "core/http/chunked.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/check.hpp"
#include "core/http/char_class.hpp"
#include "core/text.hpp"

namespace daybook::core::http {
namespace {

constexpr std::size_t kSizeDigitsMax = 16;  // what 64 bits hold

// qdtext of a quoted-string (RFC 9110 section 5.6.4).
bool is_quoted_text(char byte) {
  return is_in(byte, kValueByte) && byte != '"' && byte != '\\';
}

// A recipient that merged these into the head would read another message.
constexpr std::array<std::string_view, 5> kForbiddenTrailers = {
    "content-length", "transfer-encoding", "host", "connection", "expect"};
constexpr std::size_t kForbiddenNameBytesMax = std::string_view("transfer-encoding").size();

}  // namespace

Result<ChunkedDecoder::Step> ChunkedDecoder::decode(Bytes input, MutableBytes output) {
  Step step;
  while (step.consumed < input.size() && state_ != State::done && state_ != State::failed) {
    if (state_ == State::data) {
      const std::size_t room = output.size() - step.produced;
      if (room == 0) break;
      const std::size_t count =
          std::min<std::uint64_t>(chunk_left_, std::min(room, input.size() - step.consumed));
      // memmove: the caller may decode in place.
      std::memmove(output.data() + step.produced, input.data() + step.consumed, count);
      step.consumed += count;
      step.produced += count;
      chunk_left_ -= count;
      if (chunk_left_ == 0) state_ = State::data_cr;
      continue;
    }
    state_ = next(static_cast<char>(input[step.consumed]));
    ++step.consumed;
    if (counts_as_overhead() && ++overhead_ > kOverheadBytesMax) {
      violation_ = "the extensions and trailers of a chunked body are too long";
      state_ = State::failed;
    }
  }
  if (state_ == State::failed) {
    return fail(Code::invalid_argument, Origin::client, Retry::never, violation_);
  }
  step.done = state_ == State::done;
  return step;
}

bool ChunkedDecoder::counts_as_overhead() const {
  switch (state_) {
    case State::size_start:
    case State::size:
    case State::size_lf:
    case State::data:
    case State::data_cr:
    case State::data_lf:
    case State::final_lf:
    case State::done:
    case State::failed:
      return false;
    default:
      return true;
  }
}

ChunkedDecoder::State ChunkedDecoder::next(char byte) {
  switch (state_) {
    case State::size_start:
    case State::size:
    case State::size_lf:
    case State::data_cr:
    case State::data_lf:
      return next_in_size(byte);
    case State::trailer_start:
    case State::trailer_name:
    case State::trailer_value:
    case State::trailer_lf:
    case State::final_lf:
      return next_in_trailer(byte);
    case State::data:
    case State::done:
    case State::failed:
      CHECK(false);
    default:
      return next_in_extension(byte);
  }
}

ChunkedDecoder::State ChunkedDecoder::next_in_size(char byte) {
  switch (state_) {
    case State::size_start:
    case State::size:
      if (const int digit = hex_value(byte); digit >= 0) {
        violation_ = "a chunk size has more than 16 digits";
        if (++digits_ > kSizeDigitsMax) return State::failed;
        chunk_left_ = chunk_left_ << 4 | static_cast<unsigned>(digit);
        violation_ = "a chunk is larger than 1 GiB";
        return chunk_left_ <= kChunkBytesMax ? State::size : State::failed;
      }
      violation_ = "a chunk size must be hexadecimal digits, then CRLF or an extension";
      if (state_ == State::size_start) return State::failed;
      digits_ = 0;
      if (byte == ';') return State::extension_start;
      return byte == '\r' ? State::size_lf : State::failed;
    case State::size_lf:
      violation_ = "a chunk size line must end with CRLF";
      if (byte != '\n') return State::failed;
      return chunk_left_ == 0 ? State::trailer_start : State::data;
    case State::data_cr:
      violation_ = "chunk data must be followed by CRLF";
      return byte == '\r' ? State::data_lf : State::failed;
    default:  // data_lf
      violation_ = "chunk data must be followed by CRLF";
      return byte == '\n' ? State::size_start : State::failed;
  }
}

// chunk-ext without the optional white space, which parsers read in different ways.
ChunkedDecoder::State ChunkedDecoder::next_in_extension(char byte) {
  violation_ = "a chunk extension is malformed";
  const bool token = is_in(byte, kTokenByte);
  switch (state_) {
    case State::extension_start:
      return token ? State::extension_name : State::failed;
    case State::extension_name:
      if (token) return State::extension_name;
      if (byte == '=') return State::extension_value_start;
      break;
    case State::extension_value_start:
      if (byte == '"') return State::extension_quoted;
      return token ? State::extension_value : State::failed;
    case State::extension_value:
      if (token) return State::extension_value;
      break;
    case State::extension_quoted:
      if (byte == '"') return State::extension_quoted_end;
      if (byte == '\\') return State::extension_escape;
      return is_quoted_text(byte) ? State::extension_quoted : State::failed;
    case State::extension_escape:
      return is_in(byte, kValueByte) ? State::extension_quoted : State::failed;
    default:
      break;  // extension_quoted_end
  }
  if (byte == ';') return State::extension_start;
  return byte == '\r' ? State::size_lf : State::failed;
}

ChunkedDecoder::State ChunkedDecoder::next_in_trailer(char byte) {
  violation_ = "a trailer field of a chunked body is malformed";
  switch (state_) {
    case State::trailer_start:
      if (byte == '\r') return State::final_lf;
      trailer_name_.assign(1, byte);
      return is_in(byte, kTokenByte) ? State::trailer_name : State::failed;
    case State::trailer_name:
      if (byte == ':') return end_of_trailer_name();
      if (trailer_name_.size() < kForbiddenNameBytesMax + 1) trailer_name_ += byte;
      return is_in(byte, kTokenByte) ? State::trailer_name : State::failed;
    case State::trailer_value:
      if (byte == '\r') return State::trailer_lf;
      return is_in(byte, kValueByte) ? State::trailer_value : State::failed;
    case State::trailer_lf:
      return byte == '\n' ? State::trailer_start : State::failed;
    default:
      return byte == '\n' ? State::done : State::failed;  // final_lf
  }
}

ChunkedDecoder::State ChunkedDecoder::end_of_trailer_name() {
  violation_ = "a trailer field frames or routes the message; it belongs into the header";
  const bool forbidden = std::ranges::any_of(kForbiddenTrailers, [this](std::string_view name) {
    return equals_ignoring_case(trailer_name_, name);
  });
  return forbidden ? State::failed : State::trailer_value;
}

}  // namespace daybook::core::http
