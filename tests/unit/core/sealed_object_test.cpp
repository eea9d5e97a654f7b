// The stored bytes of a record: what the product reads back, and what the zstd command makes of
// them.
#include "core/sealed_object.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "core/frame.hpp"
#include "core/limits.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::core {
namespace {

std::unique_ptr<SealedObject> seal(const ByteVector& payload) {
  Envelope envelope;
  envelope.id = *RecordId::parse("0190a5f0-1234-7abc-8def-0123456789ab");
  envelope.tenant = "bank";
  envelope.content_type = "application/json";
  envelope.attributes = {{"zone", "eu"}};
  envelope.size = payload.size();
  envelope.sha256 = sha256(Bytes(payload));
  envelope.durability = "fsync";
  std::vector<ByteVector> frames;
  for (std::size_t at = 0; at < payload.size(); at += limits::kBlockBytes) {
    const std::size_t size = std::min(limits::kBlockBytes, payload.size() - at);
    frames.push_back(compress_frame(Bytes(payload).subspan(at, size), 1));
    envelope.frames.push_back(static_cast<std::uint32_t>(frames.back().size()));
  }
  return std::make_unique<SealedObject>(std::move(envelope), std::move(frames));
}

ByteVector joined(const SealedObject& object) {
  ByteVector bytes;
  for (Bytes slice : object.slices()) bytes.insert(bytes.end(), slice.begin(), slice.end());
  return bytes;
}

std::uint32_t u32_at(Bytes bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) {
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  }
  return value;
}

const std::array<std::size_t, 6> kSizes = {1,
                                           1000,
                                           limits::kBlockBytes - 1,
                                           limits::kBlockBytes,
                                           limits::kBlockBytes + 1,
                                           3 * limits::kBlockBytes + 77};

TEST(SealedObject, knows_its_own_size_and_digest) {
  for (const std::size_t size : kSizes) {
    const auto object = seal(tests::random_bytes(size, size));
    const ByteVector stored = joined(*object);
    EXPECT_EQ(object->stored_size(), stored.size());
    EXPECT_EQ(object->stored_sha256(), sha256(Bytes(stored)));
  }
}

TEST(SealedObject, is_opened_by_its_head_and_gives_the_payload_back_by_frames) {
  for (const std::size_t size : kSizes) {
    const ByteVector payload = tests::random_bytes(size, size);
    const auto object = seal(payload);
    const ByteVector stored = joined(*object);
    const auto head_bytes = head_size(Bytes(stored).first(8));
    ASSERT_TRUE(head_bytes) << head_bytes.error().detail;
    const auto head = open_head(Bytes(stored).first(*head_bytes));
    ASSERT_TRUE(head) << head.error().detail;
    EXPECT_EQ(head->envelope, object->envelope());
    EXPECT_EQ(head->data_offset, *head_bytes);
    ByteVector back;
    std::size_t at = head->data_offset;
    for (const std::uint32_t frame : head->envelope.frames) {
      const std::size_t left = std::min(limits::kBlockBytes, payload.size() - back.size());
      const auto block = decompress_frame(Bytes(stored).subspan(at, frame), left);
      ASSERT_TRUE(block) << block.error().detail;
      back.insert(back.end(), block->begin(), block->end());
      at += frame;
    }
    EXPECT_TRUE(back == payload);
  }
}

TEST(SealedObject, ends_with_a_seek_table_of_the_zstd_seekable_format) {
  for (const std::size_t size : kSizes) {
    const auto object = seal(tests::random_bytes(size, size));
    const ByteVector stored = joined(*object);
    const Bytes all(stored);
    ASSERT_GT(all.size(), 9);
    EXPECT_EQ(u32_at(all, all.size() - 4), 0x8F92EAB1U);
    EXPECT_EQ(all[all.size() - 5], std::byte{0}) << "descriptor: no checksums, no reserved bits";
    const std::uint32_t frames = u32_at(all, all.size() - 9);
    const std::size_t content = 8 * std::size_t{frames} + 9;
    const std::size_t table = all.size() - content;
    EXPECT_EQ(u32_at(all, table - 8), 0x184D2A5EU);
    EXPECT_EQ(u32_at(all, table - 4), content);
    std::uint64_t compressed = 0;
    std::uint64_t decompressed = 0;
    for (std::uint32_t i = 0; i < frames; ++i) {
      compressed += u32_at(all, table + 8 * i);
      decompressed += u32_at(all, table + 8 * i + 4);
    }
    EXPECT_EQ(compressed, table - 8) << "the table covers everything before it";
    EXPECT_EQ(decompressed, size);
  }
}

TEST(SealedObject, is_an_ordinary_zst_file_for_the_zstd_command) {
  if (std::system("command -v zstd >/dev/null") != 0) GTEST_SKIP() << "no zstd command";
  const tests::TemporaryFolder folder;
  for (const std::size_t size : kSizes) {
    const ByteVector payload = tests::random_bytes(size, size + 1);
    const auto object = seal(payload);
    const std::string file = (folder.path() / "object.zst").string();
    {
      std::ofstream out(file, std::ios::binary);
      for (Bytes slice : object->slices()) out << as_text(slice);
    }
    EXPECT_EQ(std::system(("zstd -tq " + file).c_str()), 0);
    std::FILE* pipe = ::popen(("zstd -dc " + file).c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    ByteVector printed;
    std::array<std::byte, 65536> piece{};
    while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), pipe)) {
      printed.insert(printed.end(), piece.begin(),
                     piece.begin() + static_cast<std::ptrdiff_t>(got));
    }
    EXPECT_EQ(::pclose(pipe), 0);
    EXPECT_TRUE(printed == payload) << "size " << size;
  }
}

TEST(OpenHead, calls_what_is_no_object_damaged) {
  const ByteVector stored = joined(*seal(tests::random_bytes(10, 1)));
  const Bytes all(stored);
  const std::uint64_t head_bytes = head_size(all).value();
  const auto expect_damaged = [](const auto& result, std::string_view what) {
    ASSERT_FALSE(result) << what;
    EXPECT_EQ(result.error().code, Code::damaged) << what;
  };
  for (std::size_t size = 0; size < 8; ++size) expect_damaged(head_size(all.first(size)), "short");
  for (std::uint64_t size = 0; size < head_bytes; ++size) {
    expect_damaged(open_head(all.first(size)), "cut");
  }
  expect_damaged(head_size(all.subspan(head_bytes)), "a zstd frame in front");
  ByteVector changed = stored;
  changed[7] = std::byte{0x7F};
  expect_damaged(head_size(changed), "two gigabytes of envelope");
  changed = stored;
  changed[0] ^= std::byte{1};
  expect_damaged(head_size(changed), "another skippable frame");
  changed = stored;
  changed[8] = std::byte{'['};
  expect_damaged(open_head(changed), "no object");
  changed = stored;
  changed[4] ^= std::byte{1};
  expect_damaged(open_head(changed), "a length that is one off");
}

TEST(FramesOfRange, finds_the_frames_that_hold_a_range) {
  constexpr std::uint64_t B = limits::kBlockBytes;
  const std::vector<std::uint32_t> frames = {100, 200, 300, 50};  // a payload of 3 MiB and a bit
  struct Case {
    std::uint64_t first, last;
    std::uint64_t stored_first, stored_length;
    std::size_t frame_first, frame_count;
    std::uint64_t skip;
  };
  const std::vector<Case> cases = {
      {0, 0, 1000, 100, 0, 1, 0},
      {0, B - 1, 1000, 100, 0, 1, 0},
      {0, B, 1000, 300, 0, 2, 0},
      {B - 1, B, 1000, 300, 0, 2, B - 1},
      {B, B, 1100, 200, 1, 1, 0},
      {B + 5, 2 * B - 1, 1100, 200, 1, 1, 5},
      {B + 5, 2 * B, 1100, 500, 1, 2, 5},
      {2 * B + 7, 3 * B + 1, 1300, 350, 2, 2, 7},
      {3 * B, 3 * B + 9, 1600, 50, 3, 1, 0},
      {0, 3 * B + 9, 1000, 650, 0, 4, 0},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::to_string(c.first) + "-" + std::to_string(c.last));
    const FrameRange range = frames_of_range(frames, 1000, c.first, c.last);
    EXPECT_EQ(range.stored_first, c.stored_first);
    EXPECT_EQ(range.stored_length, c.stored_length);
    EXPECT_EQ(range.frame_first, c.frame_first);
    EXPECT_EQ(range.frame_count, c.frame_count);
    EXPECT_EQ(range.skip, c.skip);
  }
}

TEST(FramesOfRange, cuts_any_range_of_a_real_object) {
  const ByteVector payload = tests::random_bytes(2 * limits::kBlockBytes + 500, 9);
  const auto object = seal(payload);
  const ByteVector stored = joined(*object);
  const auto head = open_head(stored).value();
  std::uint64_t state = 12345;
  for (int i = 0; i < 30; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::uint64_t first = (state >> 20) % payload.size();
    const std::uint64_t last = first + (state >> 40) % (payload.size() - first);
    const FrameRange range = frames_of_range(head.envelope.frames, head.data_offset, first, last);
    ByteVector blocks;
    std::size_t at = range.stored_first;
    for (std::size_t f = range.frame_first; f < range.frame_first + range.frame_count; ++f) {
      const std::size_t size =
          std::min(limits::kBlockBytes, payload.size() - f * limits::kBlockBytes);
      const auto block = decompress_frame(Bytes(stored).subspan(at, head.envelope.frames[f]), size);
      ASSERT_TRUE(block);
      blocks.insert(blocks.end(), block->begin(), block->end());
      at += head.envelope.frames[f];
    }
    EXPECT_EQ(at - range.stored_first, range.stored_length);
    EXPECT_TRUE(std::ranges::equal(Bytes(blocks).subspan(range.skip, last - first + 1),
                                   Bytes(payload).subspan(first, last - first + 1)));
  }
}

}  // namespace
}  // namespace daybook::core
