#include "core/segment.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "core/check.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"

namespace daybook::core {
namespace {

constexpr std::uint32_t kIndexMagic = 0x184D2A52;
constexpr std::uint32_t kSeekTableMagic = 0x184D2A5E;
constexpr std::uint32_t kSeekableFooterMagic = 0x8F92EAB1;
constexpr std::uint32_t kIndexVersion = 1;
constexpr std::size_t kSkippableHeaderBytes = 8;
constexpr std::size_t kEntryBytes = 16 + 8 + 8 + 32 + 32;
constexpr std::size_t kIndexFooterBytes = 32 + 4 + 4;
constexpr std::size_t kSeekTableEntryBytes = 8;
constexpr std::size_t kSeekTableFooterBytes = 9;
constexpr std::string_view kNamePrefix = "segment-";
constexpr std::size_t kIdChars = 36;
constexpr std::size_t kDigestChars = 16;

// "\n" as one zstd frame: magic, single segment, content size 1, a last raw block of 1 byte
// (RFC 8878 section 3.1.1).
constexpr std::array<unsigned char, 10> kNewline = {0x28, 0xB5, 0x2F, 0xFD, 0x20,
                                                    0x01, 0x09, 0x00, 0x00, '\n'};

Bytes newline_frame() {
  return std::as_bytes(std::span(kNewline));
}

bool begins_with_newline_frame(Bytes bytes) {
  return bytes.size() >= kNewline.size() &&
         std::memcmp(bytes.data(), kNewline.data(), kNewline.size()) == 0;
}

void append(ByteVector& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <class Integer>
void append_integer(ByteVector& out, Integer value) {
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    out.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
}

template <class Integer>
Integer read_integer(Bytes bytes) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    value |= std::to_integer<Integer>(bytes[i]) << (8 * i);
  }
  return value;
}

Sha256 read_sha256(Bytes bytes) {
  Sha256 digest;
  std::copy_n(bytes.begin(), digest.bytes.size(), digest.bytes.begin());
  return digest;
}

Failure damaged(std::string detail) {
  return fail(Code::damaged, Origin::object_store, Retry::never, std::move(detail));
}

// Compressed and decompressed size of each frame, or of some that belong together.
class SeekTable {
 public:
  void add(std::uint64_t stored, std::uint64_t payload) {
    append_integer(entries_, static_cast<std::uint32_t>(stored));
    append_integer(entries_, static_cast<std::uint32_t>(payload));
  }
  void add_record(const OpenedHead& head, std::uint64_t stored_size) {
    const Envelope& envelope = head.envelope;
    add(head.data_offset, 0);
    std::uint64_t left = envelope.size;
    std::uint64_t rest = stored_size - head.data_offset;
    for (const std::uint32_t frame : envelope.frames) {
      const std::uint64_t block = std::min<std::uint64_t>(left, limits::kBlockBytes);
      add(frame, block);
      left -= block;
      rest -= frame;
    }
    add(rest, 0);  // the record's own seek table
  }
  [[nodiscard]] ByteVector frame() const {
    ByteVector frame;
    append_integer(frame, kSeekTableMagic);
    append_integer(frame, static_cast<std::uint32_t>(entries_.size() + kSeekTableFooterBytes));
    append(frame, entries_);
    append_integer(frame, static_cast<std::uint32_t>(entries_.size() / kSeekTableEntryBytes));
    frame.push_back(std::byte{0});  // no checksums of content; the frames have their checks
    append_integer(frame, kSeekableFooterMagic);
    return frame;
  }

 private:
  ByteVector entries_;
};

ByteVector index_frame(const std::vector<SegmentEntry>& entries) {
  ByteVector frame;
  append_integer(frame, kIndexMagic);
  append_integer(frame,
                 static_cast<std::uint32_t>(entries.size() * kEntryBytes + kIndexFooterBytes));
  for (const SegmentEntry& entry : entries) {
    append(frame, std::as_bytes(std::span(entry.id.bytes())));
    append_integer(frame, entry.offset);
    append_integer(frame, entry.length);
    append(frame, entry.sha256.bytes);
    append(frame, entry.stored_sha256.bytes);
  }
  append(frame, sha256(Bytes(frame).subspan(kSkippableHeaderBytes)).bytes);
  append_integer(frame, static_cast<std::uint32_t>(entries.size()));
  append_integer(frame, kIndexVersion);
  return frame;
}

// The stored size that a head promises: its frames and its own seek table behind it.
std::uint64_t stored_size_of(const OpenedHead& head) {
  const auto& frames = head.envelope.frames;
  return head.data_offset + std::accumulate(frames.begin(), frames.end(), std::uint64_t{0}) +
         seek_table_size(frames.size());
}

// Where the index frame begins and the seek table behind it, by the table's last bytes.
struct Tail {
  std::uint64_t index = 0;
  std::uint64_t table = 0;
};
std::optional<Tail> find_tail(Bytes segment) {
  if (segment.size() < kSkippableHeaderBytes + kSeekTableFooterBytes) return std::nullopt;
  const Bytes footer = segment.last(kSeekTableFooterBytes);
  if (read_integer<std::uint32_t>(footer.subspan(5)) != kSeekableFooterMagic) return std::nullopt;
  const std::uint64_t frames = read_integer<std::uint32_t>(footer);
  const std::uint64_t table =
      kSkippableHeaderBytes + frames * kSeekTableEntryBytes + kSeekTableFooterBytes;
  if (frames == 0 || table > segment.size()) return std::nullopt;
  const std::uint64_t at = segment.size() - table;
  const std::uint64_t index = read_integer<std::uint32_t>(
      segment.subspan(segment.size() - kSeekTableFooterBytes - kSeekTableEntryBytes));
  if (index > at || index < kSkippableHeaderBytes + kIndexFooterBytes) return std::nullopt;
  return Tail{at - index, at};
}

std::optional<std::vector<SegmentEntry>> read_index(Bytes frame) {
  if (read_integer<std::uint32_t>(frame) != kIndexMagic) return std::nullopt;
  const Bytes content = frame.subspan(kSkippableHeaderBytes);
  const std::uint64_t length = read_integer<std::uint32_t>(frame.subspan(4));
  const std::uint64_t count = read_integer<std::uint32_t>(content.last(8));
  if (length != content.size() || count * kEntryBytes + kIndexFooterBytes != content.size() ||
      read_integer<std::uint32_t>(content.last(4)) != kIndexVersion) {
    return std::nullopt;
  }
  const Bytes bytes = content.first(count * kEntryBytes);
  if (sha256(bytes) != read_sha256(content.subspan(bytes.size()))) return std::nullopt;
  std::vector<SegmentEntry> entries;
  entries.reserve(count);
  for (Bytes at = bytes; !at.empty(); at = at.subspan(kEntryBytes)) {
    std::array<std::uint8_t, 16> id{};
    std::memcpy(id.data(), at.data(), id.size());
    entries.push_back({RecordId(id), read_integer<std::uint64_t>(at.subspan(16)),
                       read_integer<std::uint64_t>(at.subspan(24)), read_sha256(at.subspan(32)),
                       read_sha256(at.subspan(64))});
  }
  return entries;
}

// Slices and newlines must fill the segment up to the index, in the order of the ids.
bool fills(const std::vector<SegmentEntry>& entries, Bytes records) {
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const SegmentEntry& entry = entries[i];
    if (i > 0 && entry.id <= entries[i - 1].id) return false;
    if (entry.offset != at && begins_with_newline_frame(records.subspan(at))) at += kNewline.size();
    if (entry.offset != at || entry.length == 0 || entry.length > records.size() - at) return false;
    at += entry.length;
  }
  if (begins_with_newline_frame(records.subspan(at))) at += kNewline.size();
  return !entries.empty() && at == records.size();
}

// Without the index: each record says how long it is.
std::vector<SegmentEntry> scan(Bytes segment) {
  std::vector<SegmentEntry> entries;
  std::uint64_t at = 0;
  while (at < segment.size()) {
    const Bytes rest = segment.subspan(at);
    if (begins_with_newline_frame(rest)) {
      at += kNewline.size();
      continue;
    }
    const auto head = open_head(rest);
    if (!head) break;
    const std::uint64_t length = stored_size_of(*head);
    if (length > rest.size()) break;
    entries.push_back(
        {head->envelope.id, at, length, head->envelope.sha256, sha256(rest.first(length))});
    at += length;
  }
  return entries;
}

// The seek table that these records should have; nullopt where a head cannot be read.
std::optional<ByteVector> expected_table(Bytes segment, const std::vector<SegmentEntry>& entries,
                                         const Tail& tail) {
  SeekTable table;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const SegmentEntry& entry = entries[i];
    const auto head = open_head(segment.subspan(entry.offset, entry.length));
    if (!head || stored_size_of(*head) != entry.length) return std::nullopt;
    table.add_record(*head, entry.length);
    const std::uint64_t end = entry.offset + entry.length;
    const std::uint64_t next = i + 1 < entries.size() ? entries[i + 1].offset : tail.index;
    if (next != end) table.add(kNewline.size(), 1);
  }
  table.add(tail.table - tail.index, 0);
  return table.frame();
}

}  // namespace

std::uint64_t segment_bytes_of(std::uint64_t stored_size, std::size_t frames) {
  return stored_size + kNewline.size() + kEntryBytes + (frames + 3) * kSeekTableEntryBytes;
}

Result<bool> leaves_line_open(const OpenedHead& head, const Slices& stored) {
  const Envelope& envelope = head.envelope;
  if (stored_size_of(head) != total_bytes(stored)) {
    return damaged("the stored form is not as long as its envelope says");
  }
  const std::string group = segment_group(envelope);
  const auto is = [&](std::string_view extension) { return group.ends_with(extension); };
  if (!is(".json.zst") && !is(".ndjson.zst") && !is(".txt.zst") && !is(".csv.zst")) return false;
  const std::size_t count = envelope.frames.size();
  if (count == 0) return false;
  const std::uint64_t end = stored_size_of(head) - seek_table_size(count);
  const ByteVector frame =
      join(cut_slices(stored, end - envelope.frames.back(), envelope.frames.back()));
  const auto block =
      decompress_frame(frame, envelope.size - (count - 1) * std::uint64_t{limits::kBlockBytes});
  if (!block) return pass(block);
  return block->back() != std::byte{'\n'};
}

Segment make_segment(const std::vector<SegmentPart>& parts) {
  CHECK(!parts.empty());
  Segment segment;
  SeekTable table;
  std::uint64_t size = 0;
  for (const SegmentPart& part : parts) {
    size += segment_bytes_of(total_bytes(part.stored), part.head.envelope.frames.size());
  }
  segment.bytes.reserve(size + 2 * kSkippableHeaderBytes + kIndexFooterBytes + 64);
  segment.entries.reserve(parts.size());
  for (const SegmentPart& part : parts) {
    const Envelope& envelope = part.head.envelope;
    CHECK(segment.entries.empty() || segment.entries.back().id < envelope.id);
    const std::uint64_t begin = segment.bytes.size();
    for (Bytes slice : part.stored) append(segment.bytes, slice);
    const std::uint64_t length = segment.bytes.size() - begin;
    segment.entries.push_back({envelope.id, begin, length, envelope.sha256, part.stored_sha256});
    table.add_record(part.head, length);
    if (!part.line_open) continue;
    append(segment.bytes, newline_frame());
    table.add(kNewline.size(), 1);
  }
  const ByteVector index = index_frame(segment.entries);
  append(segment.bytes, index);
  table.add(index.size(), 0);
  append(segment.bytes, table.frame());
  segment.sha256 = sha256(segment.bytes);
  return segment;
}

// An object's key without the id in it.
std::string segment_group(const Envelope& envelope) {
  std::string key = object_key(envelope, "");
  const std::size_t name = key.rfind('/') + 1;
  return key.erase(name, kIdChars);
}

std::string segment_key(const Envelope& first, const RecordId& last, const Sha256& segment,
                        std::string_view prefix) {
  std::string key = object_key(first, prefix);
  const std::size_t name = key.rfind('/') + 1;
  const std::string names = std::string(kNamePrefix) + first.id.str() + "-" + last.str() + "-" +
                            segment.hex().substr(0, kDigestChars);
  return key.replace(name, kIdChars, names);
}

std::optional<SegmentName> segment_of_key(std::string_view key) {
  std::string_view name = key.substr(key.rfind('/') + 1);
  constexpr std::size_t kNameChars = kNamePrefix.size() + 2 * (kIdChars + 1) + kDigestChars;
  if (name.size() <= kNameChars || !name.starts_with(kNamePrefix) || name[kNameChars] != '.' ||
      !name.ends_with(".zst")) {
    return std::nullopt;
  }
  name.remove_prefix(kNamePrefix.size());
  const auto first = RecordId::parse(name.substr(0, kIdChars));
  const auto last = RecordId::parse(name.substr(kIdChars + 1, kIdChars));
  if (!first || !last || name[kIdChars] != '-' || *last < *first) return std::nullopt;
  return SegmentName{*first, *last};
}

Result<OpenedSegment> open_segment(Bytes segment) {
  OpenedSegment opened;
  if (const auto tail = find_tail(segment)) {
    auto entries = read_index(segment.subspan(tail->index, tail->table - tail->index));
    if (entries && fills(*entries, segment.first(tail->index))) {
      opened.entries = std::move(*entries);
      const auto table = expected_table(segment, opened.entries, *tail);
      if (table && !std::ranges::equal(*table, segment.subspan(tail->table))) {
        opened.damage = "its seek table is not that of its records";
      }
      return opened;
    }
  }
  opened.entries = scan(segment);
  if (opened.entries.empty()) {
    return damaged("it has neither an index nor a record at its front");
  }
  opened.damage = "its index is damaged; " + std::to_string(opened.entries.size()) +
                  " records were found from its front, up to byte " +
                  std::to_string(opened.entries.back().offset + opened.entries.back().length) +
                  " of " + std::to_string(segment.size());
  return opened;
}

Result<CheckedObject> check_slice(Bytes segment, const SegmentEntry& entry, CheckDepth depth) {
  auto checked = check_object(segment.subspan(entry.offset, entry.length), depth);
  if (!checked) return checked;
  const Envelope& envelope = checked->head.envelope;
  if (envelope.id != entry.id) {
    return damaged("its envelope names record " + envelope.id.str());
  }
  if (checked->stored_sha256 != entry.stored_sha256 || envelope.sha256 != entry.sha256) {
    return damaged("its slice has SHA-256 " + checked->stored_sha256.hex() +
                   ", the segment's index says " + entry.stored_sha256.hex());
  }
  return checked;
}

Result<ByteRange> slice_of(const MetadataRow& row) {
  const auto& frames = row.envelope.frames;
  const std::uint64_t behind_head =
      std::accumulate(frames.begin(), frames.end(), std::uint64_t{0}) +
      seek_table_size(frames.size());
  if (behind_head > row.stored_size || row.data_offset < row.stored_size - behind_head) {
    return fail(Code::damaged, Origin::metadata, Retry::never,
                "the row of record " + row.envelope.id.str() +
                    " has sizes and an offset that contradict each other");
  }
  return ByteRange{row.data_offset - (row.stored_size - behind_head), row.stored_size};
}

}  // namespace daybook::core
