// Any bytes as the front of a stored object, and as the envelope inside a well-formed front.
#include "core/sealed_object.hpp"

#include "core/check.hpp"

using namespace daybook::core;  // NOLINT: two functions

namespace {

void open(Bytes front) {
  if (front.size() >= 8) {
    const auto needed = head_size(front.first(8));
    if (needed) CHECK(*needed >= 8);
  }
  const auto opened = open_head(front);
  if (!opened) return;
  CHECK(opened->data_offset > 8 && opened->data_offset <= front.size());
  const Envelope& envelope = opened->envelope;
  if (envelope.size == 0 || envelope.frames.empty()) return;
  const FrameRange range =
      frames_of_range(envelope.frames, opened->data_offset, 0, envelope.size - 1);
  CHECK(range.frame_first + range.frame_count <= envelope.frames.size());
  CHECK(range.stored_first >= opened->data_offset && range.skip == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = std::as_bytes(std::span(data, size));
  open(input);
  std::string wrapped("\x50\x2A\x4D\x18", 4);
  for (int shift = 0; shift < 32; shift += 8) wrapped.push_back(static_cast<char>(size >> shift));
  wrapped += as_text(input);
  open(as_bytes(wrapped));
  return 0;
}
