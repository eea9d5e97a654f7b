// Any bytes as Redis's replies: whole, in halves and byte by byte they are the same replies, and a
// refusal says why.
#include "core/check.hpp"
#include "core/resp/reply.hpp"

using namespace daybook::core;  // NOLINT: one program

namespace {

void describe(const resp::Reply& reply, std::string& text) {
  text += "type " + std::to_string(static_cast<int>(reply.type)) + " " +
          std::to_string(reply.integer) + " " + std::to_string(reply.text.size()) + ":" +
          reply.text + "[";
  for (const resp::Reply& element : reply.elements) describe(element, text);
  text += "]";
}

struct Outcome {
  std::string replies;
  bool refused = false;
};

Outcome read_all(Bytes bytes, std::size_t piece) {
  resp::ReplyReader reader;
  Outcome outcome;
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(piece, bytes.size()))) {
    if (!reader.feed(bytes.first(std::min(piece, bytes.size())))) return {outcome.replies, true};
    for (;;) {
      const auto reply = reader.next();
      if (!reply) CHECK(!reply.error().detail.empty());
      if (!reply) return {outcome.replies, true};
      if (!*reply) break;
      describe(**reply, outcome.replies);
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = std::as_bytes(std::span(data, size));
  const Outcome whole = read_all(bytes, size);
  for (const std::size_t piece : {size / 2 + 1, std::size_t{1}}) {
    const Outcome pieces = read_all(bytes, piece);
    CHECK(whole.replies == pieces.replies && whole.refused == pieces.refused);
  }
  return 0;
}
