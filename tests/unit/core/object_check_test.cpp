// A stored object is believed only when everything in it fits.
#include "core/object_check.hpp"

#include <gtest/gtest.h>

#include "core/frame.hpp"
#include "core/limits.hpp"
#include "tests/contract/payloads.hpp"

namespace daybook::core {
namespace {

ByteVector sealed(const ByteVector& payload) {
  Envelope envelope;
  envelope.id = *RecordId::parse("0190a5f0-1234-7abc-8def-0123456789ab");
  envelope.tenant = "bank";
  envelope.size = payload.size();
  envelope.sha256 = sha256(Bytes(payload));
  std::vector<ByteVector> frames;
  for (std::size_t at = 0; at < payload.size(); at += limits::kBlockBytes) {
    const std::size_t size = std::min(limits::kBlockBytes, payload.size() - at);
    frames.push_back(compress_frame(Bytes(payload).subspan(at, size), 1));
    envelope.frames.push_back(static_cast<std::uint32_t>(frames.back().size()));
  }
  const SealedObject object(std::move(envelope), std::move(frames));
  ByteVector bytes;
  for (Bytes slice : object.slices()) bytes.insert(bytes.end(), slice.begin(), slice.end());
  return bytes;
}

TEST(ObjectCheck, takes_a_whole_object) {
  for (const std::size_t size :
       {std::size_t{1}, limits::kBlockBytes, 2 * limits::kBlockBytes + 9}) {
    const ByteVector object = sealed(tests::random_bytes(size, 1));
    for (const CheckDepth depth : {CheckDepth::stored_bytes, CheckDepth::payload}) {
      const auto checked = check_object(object, depth);
      ASSERT_TRUE(checked) << checked.error().detail;
      EXPECT_EQ(checked->stored_size, object.size());
      EXPECT_EQ(checked->stored_sha256, sha256(Bytes(object)));
      EXPECT_EQ(checked->head.envelope.size, size);
    }
  }
}

TEST(ObjectCheck, refuses_every_length_but_its_own) {
  ByteVector object = sealed(tests::random_bytes(5000, 1));
  object.push_back(std::byte{0});
  EXPECT_FALSE(check_object(object, CheckDepth::stored_bytes));
  for (std::size_t size = 0; size + 1 < object.size(); size += 7) {
    const auto checked = check_object(Bytes(object).first(size), CheckDepth::stored_bytes);
    ASSERT_FALSE(checked) << size;
    EXPECT_EQ(checked.error().code, Code::damaged);
  }
}

// The envelope's own words have no digest in the object; a row or the trail knows them.
TEST(ObjectCheck, finds_every_flipped_bit_behind_the_envelope) {
  const ByteVector object = sealed(tests::random_bytes(2000, 1));
  const auto whole = check_object(object, CheckDepth::payload);
  ASSERT_TRUE(whole);
  for (std::size_t at = whole->head.data_offset; at < object.size(); ++at) {
    ByteVector flipped = object;
    flipped[at] ^= std::byte{4};
    const auto checked = check_object(flipped, CheckDepth::payload);
    ASSERT_FALSE(checked) << "byte " << at << " of " << object.size();
    EXPECT_EQ(checked.error().code, Code::damaged);
  }
}

TEST(ObjectCheck, knows_records_by_their_keys) {
  const std::string id = "0190a5f0-1234-7abc-8def-0123456789ab";
  EXPECT_EQ(id_of_object_key("p/bank/2026/11/21/08/" + id + ".json.zst"), RecordId::parse(id));
  EXPECT_EQ(id_of_object_key(id + ".bin.zst"), RecordId::parse(id));
  for (const std::string& key : {std::string(), id, id + "/x.zst", "a/" + id + ".json", "x" + id,
                                 "a/" + id + "json.zst", std::string("log/checkpoint")}) {
    EXPECT_EQ(id_of_object_key(key), std::nullopt) << key;
  }
}

}  // namespace
}  // namespace daybook::core
