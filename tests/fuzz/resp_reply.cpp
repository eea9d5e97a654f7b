// Any bytes as Redis's replies, whole and in two pieces: both ways read the same replies, and a
// refusal says why.
#include "core/check.hpp"
#include "core/resp/reply.hpp"

using namespace daybook::core;  // NOLINT: one function

namespace {

struct Outcome {
  std::size_t replies = 0;
  bool refused = false;
};

Outcome read_all(Bytes bytes, std::size_t cut) {
  resp::ReplyReader reader;
  Outcome outcome;
  for (const Bytes piece : {bytes.first(cut), bytes.subspan(cut)}) {
    if (!reader.feed(piece)) return {outcome.replies, true};
    for (;;) {
      const auto reply = reader.next();
      if (!reply) CHECK(!reply.error().detail.empty());
      if (!reply) return {outcome.replies, true};
      if (!*reply) break;
      ++outcome.replies;
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = std::as_bytes(std::span(data, size));
  const Outcome whole = read_all(bytes, size);
  const Outcome halves = read_all(bytes, size / 2);
  CHECK(whole.replies == halves.replies && whole.refused == halves.refused);
  return 0;
}
