// Any bytes as a segment; once as they are, and once with the digest of the index made right, so
// that what the index says is looked into.
#include "core/segment.hpp"

#include <algorithm>
#include <cstring>

#include "core/check.hpp"

using namespace daybook::core;  // NOLINT: three functions

namespace {

void open(Bytes segment) {
  const auto opened = open_segment(segment);
  if (!opened) return;
  CHECK(!opened->entries.empty());
  std::uint64_t end = 0;
  for (const SegmentEntry& entry : opened->entries) {
    CHECK(entry.offset >= end && entry.length > 0);
    end = entry.offset + entry.length;
    CHECK(end <= segment.size());
    const auto checked = check_slice(segment, entry, CheckDepth::payload);
    if (!checked) continue;
    const auto row = row_of_object(*checked, {"key", segment.size(), "file:key"}, {}, entry.offset);
    const auto slice = slice_of(row);
    CHECK(slice && slice->offset == entry.offset && slice->length == entry.length);
  }
}

// The tail as segment.hpp has it: seek table of n entries, the index in front of it.
void mend_index(ByteVector& segment) {
  const auto u32 = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, segment.data() + at, sizeof(value));
    return std::size_t{value};
  };
  if (segment.size() < 80) return;
  const std::size_t table = 17 + 8 * u32(segment.size() - 9);
  const std::size_t index = u32(segment.size() - 17);
  if (table > segment.size() || index > segment.size() - table || index < 48) return;
  const std::size_t begin = segment.size() - table - index + 8;
  const std::size_t digest = begin + index - 48;
  const Sha256 sum = sha256(Bytes(segment).subspan(begin, digest - begin));
  std::ranges::copy(sum.bytes, segment.begin() + static_cast<std::ptrdiff_t>(digest));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = std::as_bytes(std::span(data, size));
  open(input);
  ByteVector mended(input.begin(), input.end());
  mend_index(mended);
  open(mended);
  static_cast<void>(segment_of_key(as_text(input)));
  return 0;
}
