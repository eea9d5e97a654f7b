// Any bytes as a chunked body: the first two bytes choose the pieces and the room for output. Read
// whole and in pieces it must come out the same; and what we encode ourselves must come out again.
#include "core/http/chunked.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "core/check.hpp"

using namespace daybook::core;  // NOLINT: three functions

namespace {

struct Decoded {
  std::string body;
  std::size_t consumed = 0;
  bool done = false;
  bool refused = false;
};

Decoded decode(Bytes input, std::size_t piece, std::size_t room) {
  Decoded decoded;
  http::ChunkedDecoder decoder;
  ByteVector output(room);
  while (decoded.consumed < input.size() && !decoded.done) {
    const Bytes rest = input.subspan(decoded.consumed);
    const auto step = decoder.decode(rest.first(std::min(piece, rest.size())), output);
    if (!step) {
      decoded.refused = true;
      return decoded;
    }
    CHECK(step->consumed > 0 && step->consumed <= rest.size() && step->produced <= room);
    decoded.body += as_text(Bytes(output).first(step->produced));
    decoded.consumed += step->consumed;
    decoded.done = step->done;
  }
  return decoded;
}

std::string encode(std::string_view body, std::size_t chunk) {
  std::string encoded;
  for (; !body.empty(); body.remove_prefix(std::min(chunk, body.size()))) {
    const std::string_view data = body.substr(0, chunk);
    std::array<char, 16> size{};
    const auto end = std::to_chars(size.data(), size.data() + size.size(), data.size(), 16);
    encoded.append(size.data(), end.ptr).append("\r\n").append(data).append("\r\n");
  }
  return encoded + "0\r\n\r\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = data[0] % 32 + 1;
  const std::size_t room = data[1] % 32 + 1;
  const Bytes input = std::as_bytes(std::span(data, size)).subspan(2);
  const Decoded whole = decode(input, input.size() + 1, input.size() + 1);
  const Decoded pieces = decode(input, piece, room);
  CHECK(whole.refused == pieces.refused && whole.done == pieces.done);
  if (!whole.refused) CHECK(whole.body == pieces.body && whole.consumed == pieces.consumed);

  const std::string encoded = encode(as_text(input), room);
  const Decoded again = decode(as_bytes(encoded), piece, room);
  CHECK(again.done && again.consumed == encoded.size() && again.body == as_text(input));
  return 0;
}
