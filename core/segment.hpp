// A segment: the stored forms of many small records in one object, so that a million of them do not
// cost a million requests. Its bytes:
//
//   record 0          | as sealed_object.hpp has it, byte for byte             |
//   zstd frame        | "\n", only where record 0 is a text that ends without  |
//   record 1          | ...                                                    |
//   ...
//   skippable frame   | magic 0x184D2A52 | u32 length | index                  |
//   skippable frame   | magic 0x184D2A5E | u32 length | seek table of it all   |
//
//   index             | entry 0 | ... | entry n-1 | SHA-256 of the entries | u32 n | u32 1 |
//   entry             | id, 16 | u64 offset | u64 length | SHA-256 of the payload | of the slice |
//
// Integers are little-endian. The records are ordered by id, and a segment holds those of one
// tenant, one hour and one extension. So it is an ordinary .zst file of that kind: `zstd -dc`
// prints the payloads one after the other, and a text of JSON values or lines stays one.
//
// The slice of a record (offset, length) is what would have been its own object: it can be fetched
// by a range and proved without the rest. The last 9 bytes give the size of the seek table, whose
// last entry is the index. Where the index is damaged, the slices are found from the front, because
// each says how long it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/object_check.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/sealed_object.hpp"

namespace daybook::core {

struct SegmentEntry {
  RecordId id;
  std::uint64_t offset = 0;  // of the slice in the segment
  std::uint64_t length = 0;  // of the slice
  Sha256 sha256;             // of the payload
  Sha256 stored_sha256;      // of the slice

  friend bool operator==(const SegmentEntry&, const SegmentEntry&) = default;
};

// A record that is to go into a segment; whoever makes it keeps the bytes alive.
struct SegmentPart {
  OpenedHead head;
  Slices stored;  // the whole stored form
  Sha256 stored_sha256;
  bool line_open = false;  // from leaves_line_open
};

struct Segment {
  ByteVector bytes;
  Sha256 sha256;                      // of bytes
  std::vector<SegmentEntry> entries;  // by id, as the parts were
};

// Bytes that a part takes in a segment, its share of index and seek table included, at most.
[[nodiscard]] std::uint64_t segment_bytes_of(std::uint64_t stored_size, std::size_t frames);

// Whether the payload is JSON or lines of text and does not end with a newline. Decompresses the
// last frame. Code::damaged: that fails, or the form is not as long as its head says; such a record
// is not for a segment.
[[nodiscard]] Result<bool> leaves_line_open(const OpenedHead& head, const Slices& stored);

// The parts must be ordered by id, at least one, all of one segment_group. Copies them.
[[nodiscard]] Segment make_segment(const std::vector<SegmentPart>& parts);

// Records of equal groups may share a segment: tenant, hour and extension.
[[nodiscard]] std::string segment_group(const Envelope& envelope);

// <prefix>/<tenant>/<yyyy>/<mm>/<dd>/<hh>/segment-<first id>-<last id>-<digest>.<ext>.zst; the
// digest is the beginning of the segment's, so that other bytes have another key.
[[nodiscard]] std::string segment_key(const Envelope& first, const RecordId& last,
                                      const Sha256& segment, std::string_view prefix);

struct SegmentName {
  RecordId first, last;
};
// nullopt: the key is no segment's.
[[nodiscard]] std::optional<SegmentName> segment_of_key(std::string_view key);

struct OpenedSegment {
  std::vector<SegmentEntry> entries;  // inside the segment, in order, none overlapping
  std::string damage;  // what is wrong beside the slices, which are not looked into; empty: nothing
};
// From a segment's bytes, whole. Where the index is damaged, the entries that can be found from the
// front. Code::damaged: not even one.
[[nodiscard]] Result<OpenedSegment> open_segment(Bytes segment);

// The record of an entry of the segment, checked like an object, and against the entry.
// Code::damaged says what does not fit.
[[nodiscard]] Result<CheckedObject> check_slice(Bytes segment, const SegmentEntry& entry,
                                                CheckDepth depth);

// Where the stored form of the row's record is in its object: all of it, or a slice of a segment.
// Code::damaged: the row's figures contradict each other.
[[nodiscard]] Result<ByteRange> slice_of(const MetadataRow& row);

}  // namespace daybook::core
