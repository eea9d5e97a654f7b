// Any bytes as a coded body: the first byte chooses the coding, the next two the pieces and the
// room for output. Read whole and in pieces it must come out the same.
#include "core/http/content_decoder.hpp"

#include <algorithm>
#include <string>

#include "core/check.hpp"

using namespace daybook::core;  // NOLINT: three functions

namespace {

constexpr std::size_t kDecodedMax = 1 * MiB;

struct Decoded {
  std::string body;
  bool refused = false;
  bool whole = false;
};

Decoded decode(http::Coding coding, Bytes input, std::size_t piece, std::size_t room) {
  Decoded decoded;
  const auto decoder = http::ContentDecoder::make(coding);
  ByteVector output(room);
  bool full = false;
  while ((full || !input.empty()) && decoded.body.size() <= kDecodedMax) {
    const Bytes part = input.first(std::min(piece, input.size()));
    const auto step = decoder->decode(part, output);
    if (!step) {
      CHECK(step.error().origin == Origin::client && !step.error().detail.empty());
      decoded.refused = true;
      return decoded;
    }
    CHECK(step->consumed <= part.size() && step->produced <= room);
    CHECK(step->consumed == part.size() || step->produced == room);
    full = step->produced == room;
    decoded.body += as_text(Bytes(output).first(step->produced));
    input = input.subspan(step->consumed);
  }
  decoded.whole = decoder->finish().has_value();
  return decoded;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const auto coding = data[0] % 2 == 0 ? http::Coding::gzip : http::Coding::zstd;
  const std::size_t piece = data[1] + 1;
  const std::size_t room = 16 * (data[2] + 1);
  const Bytes input = std::as_bytes(std::span(data, size)).subspan(3);
  const Decoded whole = decode(coding, input, input.size() + 1, kDecodedMax);
  const Decoded pieces = decode(coding, input, piece, room);
  if (whole.body.size() > kDecodedMax || pieces.body.size() > kDecodedMax) return 0;
  CHECK(whole.refused == pieces.refused);
  if (!whole.refused) CHECK(whole.body == pieces.body && whole.whole == pieces.whole);
  return 0;
}
