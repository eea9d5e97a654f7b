#include "core/pipeline/fresh_records.hpp"

#include <gtest/gtest.h>

#include "core/frame.hpp"

namespace daybook::core::pipeline {
namespace {

std::shared_ptr<const SealedObject> make_object(std::uint8_t number, std::size_t size = 1000) {
  std::array<std::uint8_t, 16> id{};
  id[15] = number;
  ByteVector payload(size);
  for (std::size_t i = 0; i < size; ++i) payload[i] = std::byte(i * 2654435761U >> 13U);
  std::vector<ByteVector> frames;
  frames.push_back(compress_frame(payload, 1));
  Envelope envelope;
  envelope.id = RecordId(id);
  envelope.size = size;
  envelope.sha256 = sha256(payload);
  envelope.frames = {static_cast<std::uint32_t>(frames.front().size())};
  return std::make_shared<const SealedObject>(envelope, std::move(frames));
}

BufferEntry entry_of(const SealedObject& object) {
  return {object.envelope().id, "1-0", object.stored_size(), object.stored_sha256()};
}

TEST(FreshRecords, hands_out_what_was_kept_once) {
  FreshRecords fresh(MiB);
  const auto object = make_object(1);
  fresh.keep(object);
  EXPECT_EQ(fresh.bytes(), object->stored_size());
  EXPECT_EQ(fresh.take(entry_of(*object)), object);
  EXPECT_EQ(fresh.take(entry_of(*object)), nullptr);
  EXPECT_EQ(fresh.bytes(), 0u);
}

TEST(FreshRecords, does_not_hand_out_other_bytes_than_the_entry_names) {
  FreshRecords fresh(MiB);
  const auto object = make_object(1);
  auto entry = entry_of(*object);
  entry.stored_sha256.bytes[0] ^= std::byte{1};
  fresh.keep(object);
  EXPECT_EQ(fresh.take(entry), nullptr);
  EXPECT_EQ(fresh.bytes(), 0u);
}

TEST(FreshRecords, forgets_the_oldest_beyond_its_bound) {
  const auto size = make_object(0)->stored_size();
  FreshRecords fresh(3 * size);
  for (std::uint8_t number = 0; number < 5; ++number) fresh.keep(make_object(number));
  EXPECT_EQ(fresh.bytes(), 3 * size);
  for (std::uint8_t number = 0; number < 5; ++number) {
    EXPECT_EQ(fresh.take(entry_of(*make_object(number))) != nullptr, number >= 2) << +number;
  }
}

TEST(FreshRecords, keeps_nothing_that_does_not_fit_or_was_forgotten) {
  FreshRecords none(0);
  none.keep(make_object(1));
  EXPECT_EQ(none.bytes(), 0u);
  FreshRecords fresh(MiB);
  const auto object = make_object(1);
  fresh.keep(object);
  fresh.keep(object);
  EXPECT_EQ(fresh.bytes(), object->stored_size());
  fresh.forget(object->envelope().id);
  fresh.forget(object->envelope().id);
  EXPECT_EQ(fresh.take(entry_of(*object)), nullptr);
}

}  // namespace
}  // namespace daybook::core::pipeline
