// A segment is an ordinary .zst file, and each record in it is provable alone, whatever happens to
// the rest.
#include "core/segment.hpp"

#include <algorithm>
#include <memory>

#include <zstd.h>

#include <gtest/gtest.h>

#include "core/frame.hpp"
#include "core/limits.hpp"
#include "tests/contract/payloads.hpp"

namespace daybook::core {
namespace {

constexpr WallTime kReceived{std::chrono::milliseconds(1'795'238'448'780)};

std::unique_ptr<SealedObject> sealed(RecordId id, Bytes payload, const std::string& type) {
  Envelope envelope;
  envelope.id = id;
  envelope.tenant = "bank";
  envelope.content_type = type;
  envelope.received_at = kReceived;
  envelope.size = payload.size();
  envelope.sha256 = sha256(payload);
  std::vector<ByteVector> frames;
  for (std::size_t at = 0; at < payload.size(); at += limits::kBlockBytes) {
    frames.push_back(
        compress_frame(payload.subspan(at, std::min(limits::kBlockBytes, payload.size() - at)), 1));
    envelope.frames.push_back(static_cast<std::uint32_t>(frames.back().size()));
  }
  return std::make_unique<SealedObject>(std::move(envelope), std::move(frames));
}

// A segment and what went into it.
struct Made {
  std::vector<std::string> payloads;
  std::vector<std::unique_ptr<SealedObject>> objects;
  std::vector<bool> open;
  Segment segment;

  Made(std::vector<std::string> bodies, const std::string& type) : payloads(std::move(bodies)) {
    RecordIdGenerator ids;
    std::vector<SegmentPart> parts;
    for (const std::string& payload : payloads) {
      objects.push_back(sealed(ids.next(kReceived, 0), as_bytes(payload), type));
      const SealedObject& object = *objects.back();
      const OpenedHead head{object.envelope(), object.slices().front().size()};
      const auto line_open = leaves_line_open(head, object.slices());
      EXPECT_TRUE(line_open);
      open.push_back(*line_open);
      parts.push_back({head, object.slices(), object.stored_sha256(), *line_open});
    }
    segment = make_segment(parts);
  }
};

std::string decompressed(Bytes bytes) {
  std::string text;
  std::vector<char> block(1 << 16);
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(),
                                                                          &ZSTD_freeDStream);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::size_t left = 1;
  while (in.pos < in.size) {
    ZSTD_outBuffer out{block.data(), block.size(), 0};
    left = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(left)) return std::string("error: ") + ZSTD_getErrorName(left);
    text.append(block.data(), out.pos);
  }
  return left == 0 ? text : "error: it ends inside a frame";
}

TEST(Segment, is_a_zst_file_of_all_payloads_with_each_object_in_it_byte_for_byte) {
  const Made made({"{\"a\":1}\n", "{\"a\":2}", std::string(limits::kBlockBytes + 5, 'x'), "\n"},
                  "application/x-ndjson");
  EXPECT_EQ(decompressed(made.segment.bytes),
            made.payloads[0] + made.payloads[1] + "\n" + made.payloads[2] + "\n" + "\n");
  EXPECT_EQ(made.segment.sha256, sha256(Bytes(made.segment.bytes)));
  const auto opened = open_segment(made.segment.bytes);
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_EQ(opened->damage, "");
  EXPECT_EQ(opened->entries, made.segment.entries);
  ASSERT_EQ(opened->entries.size(), 4u);
  std::uint64_t promised = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const SegmentEntry& entry = opened->entries[i];
    const Bytes slice = Bytes(made.segment.bytes).subspan(entry.offset, entry.length);
    EXPECT_EQ(sha256(slice), made.objects[i]->stored_sha256());
    EXPECT_EQ(decompressed(slice), made.payloads[i]);
    const auto checked = check_slice(made.segment.bytes, entry, CheckDepth::payload);
    ASSERT_TRUE(checked) << checked.error().detail;
    EXPECT_EQ(checked->head.envelope, made.objects[i]->envelope());
    promised += segment_bytes_of(entry.length, made.objects[i]->envelope().frames.size());
  }
  EXPECT_LE(made.segment.bytes.size(), promised + 128);
}

TEST(Segment, puts_a_newline_only_behind_open_lines_of_text) {
  const std::vector<std::string> bodies = {"ends\n", "does not"};
  for (const char* type : {"application/json", "application/x-ndjson", "text/plain; charset=utf-8",
                           "text/csv", "application/cloudevents+json"}) {
    EXPECT_EQ(Made(bodies, type).open, (std::vector{false, true})) << type;
  }
  for (const char* type : {"application/octet-stream", "image/png", "application/xml", ""}) {
    const Made made(bodies, type);
    EXPECT_EQ(made.open, (std::vector{false, false})) << type;
    EXPECT_EQ(decompressed(made.segment.bytes), "ends\ndoes not");
  }
}

TEST(Segment, refuses_a_stored_form_of_another_length_than_its_head_says) {
  const auto object =
      sealed(RecordIdGenerator().next(kReceived, 0), as_bytes("text"), "text/plain");
  std::string stored;
  for (Bytes slice : object->slices()) stored += as_text(slice);
  const auto head = open_head(as_bytes(stored));
  EXPECT_TRUE(leaves_line_open(*head, {as_bytes(stored)}).value());
  stored.pop_back();
  const auto cut = leaves_line_open(*head, {as_bytes(stored)});
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Code::damaged);
}

// Wherever a bit is flipped: nothing is handed out that is not what was stored, and somebody says
// so.
TEST(Segment, finds_every_flipped_bit_and_still_gives_the_other_records) {
  const Made made({"one\n", "two", "three\n"}, "text/plain");
  const std::uint64_t records =
      made.segment.entries.back().offset + made.segment.entries.back().length;
  for (std::size_t at = 0; at < made.segment.bytes.size(); ++at) {
    ByteVector flipped = made.segment.bytes;
    flipped[at] ^= std::byte{4};
    const auto opened = open_segment(flipped);
    ASSERT_TRUE(opened) << "byte " << at << ": " << opened.error().detail;
    std::size_t good = 0;
    std::string wrong = opened->damage;
    for (const SegmentEntry& entry : opened->entries) {
      const auto checked = check_slice(flipped, entry, CheckDepth::payload);
      const auto same = std::ranges::find(made.segment.entries, entry.id, &SegmentEntry::id);
      if (checked && same != made.segment.entries.end() && *same == entry) ++good;
      if (!checked) wrong = checked.error().detail;
    }
    EXPECT_NE(wrong, "") << "byte " << at;
    EXPECT_GE(good, at < records ? 2u : 3u) << "byte " << at << " of " << flipped.size();
  }
}

TEST(Segment, is_read_from_the_front_where_its_end_is_gone) {
  const Made made({"one\n", "two", "three\n"}, "text/plain");
  const auto& entries = made.segment.entries;
  for (std::size_t size = 0; size < made.segment.bytes.size(); ++size) {
    const auto opened = open_segment(Bytes(made.segment.bytes).first(size));
    std::size_t whole = 0;
    while (whole < 3 && entries[whole].offset + entries[whole].length <= size) ++whole;
    ASSERT_EQ(opened.has_value(), whole > 0) << size;
    if (!opened) continue;
    EXPECT_EQ(opened->entries,
              std::vector(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(whole)));
    EXPECT_NE(opened->damage.find("index"), std::string::npos);
  }
}

TEST(Segment, has_a_key_that_names_its_records_and_is_no_records) {
  RecordIdGenerator ids;
  Envelope first;
  first.id = ids.next(kReceived, 0);
  first.tenant = "bank/a";
  first.content_type = "application/x-ndjson";
  first.received_at = kReceived;
  const RecordId last = ids.next(kReceived, 3);
  const std::string key = segment_key(first, last, sha256(as_bytes("bytes")), "records");
  EXPECT_TRUE(key.starts_with("records/bank%2Fa/2026/11/21/05/segment-" + first.id.str())) << key;
  EXPECT_TRUE(key.ends_with(".ndjson.zst")) << key;
  EXPECT_EQ(id_of_object_key(key), std::nullopt);
  EXPECT_FALSE(segment_of_key(object_key(first, "records")));
  const auto name = segment_of_key(key);
  ASSERT_TRUE(name);
  EXPECT_EQ(name->first, first.id);
  EXPECT_EQ(name->last, last);
  EXPECT_NE(key, segment_key(first, last, sha256(as_bytes("others")), "records"));
  for (const std::size_t cut : {std::size_t{1}, std::size_t{20}, std::size_t{60}}) {
    EXPECT_FALSE(segment_of_key(key.substr(0, key.size() - cut))) << cut;
  }
  EXPECT_FALSE(segment_of_key("records/segment-.zst"));
}

TEST(Segment, groups_by_tenant_hour_and_extension) {
  Envelope one;
  one.id = RecordIdGenerator().next(kReceived, 0);
  one.tenant = "bank";
  one.content_type = "application/json";
  one.received_at = kReceived;
  Envelope other = one;
  other.id = RecordIdGenerator().next(kReceived, 7);
  other.content_type = "application/json; charset=utf-8";
  other.received_at += std::chrono::minutes(20);
  EXPECT_EQ(segment_group(one), segment_group(other));
  for (const auto change : {+[](Envelope& e) { e.tenant = "shop"; },
                            +[](Envelope& e) { e.content_type = "application/x-ndjson"; },
                            +[](Envelope& e) { e.received_at += std::chrono::hours(1); }}) {
    Envelope changed = one;
    change(changed);
    EXPECT_NE(segment_group(one), segment_group(changed));
  }
}

TEST(Segment, a_row_says_where_its_slice_is) {
  const Made made({"one\n", "two"}, "text/plain");
  for (const SegmentEntry& entry : made.segment.entries) {
    const auto checked = check_slice(made.segment.bytes, entry, CheckDepth::stored_bytes);
    MetadataRow row = row_of_object(*checked, {"key", 0, "file:key"}, {}, entry.offset);
    const auto slice = slice_of(row);
    ASSERT_TRUE(slice);
    EXPECT_EQ(slice->offset, entry.offset);
    EXPECT_EQ(slice->length, entry.length);
    row.data_offset = checked->head.data_offset;  // in an object of its own
    EXPECT_EQ(slice_of(row)->offset, 0u);
    row.data_offset -= 1;
    EXPECT_EQ(slice_of(row).error().code, Code::damaged);
    row.stored_size = 5;
    EXPECT_EQ(slice_of(row).error().code, Code::damaged);
  }
}

}  // namespace
}  // namespace daybook::core
