// Any bytes as a multipart body; the first byte chooses the pieces. Read
// whole and in pieces the same elements come out, and each stood in the body as it came out.
#include "core/http/multipart.hpp"

#include <algorithm>
#include <vector>

#include "core/check.hpp"

using namespace daybook::core;  // NOLINT: the readers and their kin

namespace {

constexpr std::size_t kElementMax = 64;

struct Read {
  std::vector<BatchElement> elements;
  bool refused = false;
};

Read read(Bytes body, std::size_t piece) {
  http::MultipartReader reader("b", kElementMax);
  Read outcome;
  const auto note = [&](const Result<void>& done) {
    outcome.refused = !done.has_value();
    while (auto element = reader.next()) outcome.elements.push_back(std::move(*element));
  };
  while (!body.empty() && !outcome.refused) {
    const Bytes next = body.first(std::min(piece, body.size()));
    note(reader.feed(next));
    body = body.subspan(next.size());
  }
  if (!outcome.refused) note(reader.finish());
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = data[0] % 32 + 1;
  const Bytes body = std::as_bytes(std::span(data, size)).subspan(1);
  const Read whole = read(body, body.size() + 1);
  const Read pieces = read(body, piece);
  CHECK(whole.refused == pieces.refused);
  CHECK(whole.elements.size() == pieces.elements.size());
  for (std::size_t i = 0; i < whole.elements.size(); ++i) {
    const BatchElement& element = whole.elements[i];
    CHECK(element.bytes == pieces.elements[i].bytes && element.offset == pieces.elements[i].offset);
    CHECK(element.bytes.size() <= kElementMax);
    CHECK(as_text(body).substr(element.offset, element.bytes.size()) == element.bytes);
  }
  return 0;
}
