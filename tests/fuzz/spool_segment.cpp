// The spool's format against three kinds of input: any bytes as a segment; any text as the JSON of
// a head whose check is right; and a good segment of three records that is edited and cut as the
// input says, in which every record that was not touched must be found again.
#include "storage/spool_segment.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/check.hpp"

using namespace daybook;  // NOLINT: one program
using storage::spool::Head;

namespace {

storage::spool::Scan scan(core::Bytes segment) {
  const auto read = [&](std::uint64_t offset,
                        std::uint64_t length) -> core::Result<core::ByteVector> {
    const core::Bytes rest = segment.subspan(std::min<std::uint64_t>(offset, segment.size()));
    const core::Bytes piece = rest.first(std::min<std::uint64_t>(length, rest.size()));
    return core::ByteVector(piece.begin(), piece.end());
  };
  auto found = storage::spool::scan(read, segment.size());
  CHECK(found.has_value());
  CHECK(found->end <= segment.size());
  std::uint64_t end = 0;
  for (const auto& record : found->records) {
    CHECK(record.offset >= end && record.offset % storage::spool::kAlignment == 0);
    CHECK(record.data_offset + record.head.stored_size <= segment.size());
    end = record.data_offset + record.head.stored_size;
  }
  std::uint64_t lost = 0;
  for (const auto& gap : found->damaged) lost += gap.length;
  CHECK(lost <= found->end);
  return std::move(*found);
}

// As the layout in storage/spool_segment.hpp says it, with whatever text for the JSON.
std::string with_check(std::string_view text, std::uint64_t stored_size) {
  std::array<std::uint32_t, 4> lengths{static_cast<std::uint32_t>(text.size()), 0, 0, 0};
  std::memcpy(&lengths[2], &stored_size, sizeof stored_size);
  const std::uint64_t check =
      XXH3_64bits_withSeed(text.data(), text.size(), XXH3_64bits(lengths.data(), 16));
  std::string bytes = "DBSPOOL1";
  bytes.append(reinterpret_cast<const char*>(lengths.data()), 16);
  bytes.append(reinterpret_cast<const char*>(&check), sizeof check);
  bytes += text;
  bytes.resize(storage::spool::aligned(bytes.size()));
  return bytes;
}

void check_head_of(std::string_view text) {
  const auto head = storage::spool::decode(core::as_bytes(with_check(text, text.size())));
  if (!head) {
    CHECK(head.error().code == core::Code::damaged && !head.error().detail.empty());
    return;
  }
  CHECK(head->stored_size == text.size());
  const auto again = storage::spool::decode(core::as_bytes(storage::spool::encode(*head)));
  CHECK(again.has_value() && *again == *head);
}

struct Written {
  Head head;
  std::size_t offset = 0;
  std::size_t head_end = 0;  // of what the check covers
  std::size_t end = 0;
};

struct Sample {
  std::string bytes;
  std::vector<Written> records;
};

Sample make_sample() {
  Sample sample;
  for (const std::size_t stored : {100UL, 0UL, 5000UL}) {
    Head head;
    head.id = *core::RecordId::parse("01a1fc8c-ce79-7000-803a-d6276c78106" +
                                     std::to_string(sample.records.size()));
    head.tenant = "default";
    head.key = "key " + std::to_string(stored);
    head.size = stored * 3;
    head.stored_size = stored;
    head.receipt = R"({"id":"01a1fc8c"})";
    const std::string encoded = storage::spool::encode(head);
    Written written{.head = head, .offset = sample.bytes.size()};
    written.head_end = written.offset + encoded.find_last_not_of('\0') + 1;
    sample.bytes += encoded;
    written.end = sample.bytes.size() + stored;
    sample.bytes += std::string(storage::spool::aligned(stored), 'x');
    sample.records.push_back(std::move(written));
  }
  return sample;
}

// Two bytes say where the segment is cut, every further three change one byte of it.
void check_edited(core::Bytes edits) {
  static const Sample sample = make_sample();
  std::string bytes = sample.bytes;
  const auto number = [&](std::size_t at) {
    return std::to_integer<std::size_t>(edits[at]) * 256 +
           std::to_integer<std::size_t>(edits[at + 1]);
  };
  for (std::size_t at = 2; at + 3 <= edits.size(); at += 3) {
    bytes[number(at) % bytes.size()] = static_cast<char>(edits[at + 2]);
  }
  bytes.resize(number(0) % (bytes.size() + 1));
  const auto found = scan(core::as_bytes(bytes));
  std::size_t next = 0;
  for (const Written& record : sample.records) {
    const std::size_t length = record.head_end - record.offset;
    const bool untouched =
        record.end <= bytes.size() &&
        bytes.compare(record.offset, length, sample.bytes, record.offset, length) == 0;
    const bool here = next < found.records.size() && found.records[next].offset == record.offset;
    CHECK(untouched == here);
    if (here) CHECK(found.records[next++].head == record.head);
  }
  CHECK(next == found.records.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const core::Bytes input = std::as_bytes(std::span(data, size));
  scan(input);
  check_head_of(core::as_text(input));
  if (size >= 2) check_edited(input);
  return 0;
}
