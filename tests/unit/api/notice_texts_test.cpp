// NoticeTexts: one text for all who are told the same, and never another record's.
#include "api/notice_texts.hpp"

#include <gtest/gtest.h>

#include "api/notice_data.hpp"
#include "tests/contract/metadata_rows.hpp"

namespace daybook::api {
namespace {

using core::delivery::Delivery;
using core::delivery::Event;

class NoticeTextsTest : public testing::Test {
 protected:
  Delivery delivery(std::uint64_t number) {
    const auto at = tests::wall_time(1'800'000'000'000'000);
    Delivery made;
    made.number = number;
    made.id = ids_.next(at, 3);
    made.row = std::make_shared<const core::MetadataRow>(tests::full_row(made.id, at));
    return made;
  }

  core::RecordIdGenerator ids_;
  NoticeTexts texts_;
};

TEST_F(NoticeTextsTest, are_made_once_for_each_record_and_event) {
  const Delivery one = delivery(1);
  const Delivery two = delivery(2);
  const auto text = texts_.of(one, Event::final);
  EXPECT_EQ(*text, notice_data(one, Event::final, nullptr));
  EXPECT_EQ(texts_.of(one, Event::final), text);
  EXPECT_EQ(*texts_.of(one, Event::started), notice_data(one, Event::started, nullptr));
  EXPECT_EQ(*texts_.of(two, Event::final), notice_data(two, Event::final, nullptr));
  EXPECT_EQ(texts_.of(one, Event::final), text);
}

TEST_F(NoticeTextsTest, a_number_of_another_feed_is_another_record) {
  const Delivery before = delivery(1);
  const Delivery after = delivery(1);
  const auto text = texts_.of(before, Event::final);
  EXPECT_EQ(*texts_.of(after, Event::final), notice_data(after, Event::final, nullptr));
  EXPECT_EQ(*texts_.of(before, Event::final), *text);
}

TEST_F(NoticeTextsTest, parked_records_are_told_of_as_each_was_parked) {
  Delivery first = delivery(1);
  first.parked = core::ParkedRecord{};
  first.parked->reason = "a reason";
  Delivery again = first;
  again.parked->reason = "another reason";
  EXPECT_NE(*texts_.of(first, Event::parked), *texts_.of(again, Event::parked));
}

TEST_F(NoticeTextsTest, the_oldest_go_when_they_are_too_many) {
  NoticeTexts few(16 * core::KiB);
  std::vector<std::weak_ptr<const std::string>> all;
  for (std::uint64_t number = 1; number <= 100; ++number) {
    all.push_back(few.of(delivery(number), Event::final));
  }
  std::size_t bytes = 0;
  for (const auto& one : all) {
    if (const auto text = one.lock()) bytes += text->size();
  }
  EXPECT_TRUE(all.front().expired());
  EXPECT_FALSE(all.back().expired());
  EXPECT_LE(bytes, 16 * core::KiB);
}

}  // namespace
}  // namespace daybook::api
