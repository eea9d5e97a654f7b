// Any bytes as a spool segment: the scan ends, stays inside, and finds only records whose heads are
// whole.
#include "storage/spool_segment.hpp"

#include <algorithm>

#include "core/check.hpp"

using namespace daybook;  // NOLINT: one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const core::Bytes segment = std::as_bytes(std::span(data, size));
  const auto read = [&](std::uint64_t offset,
                        std::uint64_t length) -> core::Result<core::ByteVector> {
    const core::Bytes rest = segment.subspan(std::min<std::uint64_t>(offset, segment.size()));
    const core::Bytes piece = rest.first(std::min<std::uint64_t>(length, rest.size()));
    return core::ByteVector(piece.begin(), piece.end());
  };
  const auto found = storage::spool::scan(read, segment.size());
  CHECK(found.has_value());
  CHECK(found->end <= segment.size());
  for (const auto& record : found->records) {
    CHECK(record.data_offset + record.head.stored_size <= segment.size());
    CHECK(storage::spool::encode(record.head).size() == record.data_offset - record.offset);
  }
  return 0;
}
