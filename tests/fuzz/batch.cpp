// Any bytes as a body of many records: the first byte chooses the form, the second the pieces. Read
// whole and in pieces the same elements come out, and each stood in the body as it came out.
#include <algorithm>
#include <memory>
#include <vector>

#include "core/check.hpp"
#include "core/http/multipart.hpp"
#include "core/json_lines.hpp"

using namespace daybook::core;  // NOLINT: the readers and their kin

namespace {

constexpr std::size_t kElementMax = 64;

struct Read {
  std::vector<BatchElement> elements;
  bool refused = false;
};

std::unique_ptr<BatchReader> make(bool lines) {
  if (lines) return std::make_unique<JsonLinesReader>(kElementMax);
  return std::make_unique<http::MultipartReader>("b", kElementMax);
}

Read read(BatchReader& reader, Bytes body, std::size_t piece) {
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
  if (size < 2) return 0;
  const bool lines = data[0] % 2 == 1;
  const std::size_t piece = data[1] % 32 + 1;
  const Bytes body = std::as_bytes(std::span(data, size)).subspan(2);
  const Read whole = read(*make(lines), body, body.size() + 1);
  const Read pieces = read(*make(lines), body, piece);
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
