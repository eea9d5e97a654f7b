// What the notices of one record say, step by step.
#include "api/notice_data.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "tests/contract/metadata_rows.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::delivery::Delivery;
using core::delivery::Event;

Delivery delivery() {
  static core::RecordIdGenerator ids;
  const core::WallTime now = tests::wall_time(1'800'000'000'000'000);
  Delivery one;
  one.number = 7;
  one.row = std::make_shared<const core::MetadataRow>(tests::full_row(ids.next(now, 3), now));
  one.id = one.row->envelope.id;
  one.partition = 3;
  return one;
}

json::object said(const Delivery& one, Event event) {
  return json::parse(notice_data(one, event, nullptr)).as_object();
}

TEST(NoticeData, each_step_refers_to_what_there_is_by_then) {
  const Delivery one = delivery();
  const std::pair<Event, const char*> steps[] = {
      {Event::started, R"({"buffer":true,"archive":false,"index":false})"},
      {Event::archived, R"({"buffer":true,"archive":true,"index":false})"},
      {Event::indexed, R"({"buffer":true,"archive":true,"index":true})"},
      {Event::final, R"({"buffer":true,"archive":true,"index":true})"}};
  for (const auto& [event, persisted] : steps) {
    const json::object data = said(one, event);
    EXPECT_EQ(data.at("position").as_string(), one.row->position);
    EXPECT_EQ(data.at("partition").to_number<int>(), 3);
    EXPECT_EQ(json::serialize(data.at("persisted")), persisted);
    EXPECT_EQ(data.contains("object"), event != Event::started);
    EXPECT_EQ(data.contains("row"), event == Event::indexed || event == Event::final);
  }
}

TEST(NoticeData, a_parked_record_is_said_to_be_in_the_buffer_alone) {
  Delivery one = delivery();
  core::MetadataRow row;
  row.envelope = one.row->envelope;
  one.row = std::make_shared<const core::MetadataRow>(std::move(row));
  core::ParkedRecord parked;
  parked.entry = {one.id, "5-1", 7, {}};
  parked.stage = "archive";
  one.parked = std::move(parked);
  const json::object data = said(one, Event::parked);
  EXPECT_EQ(data.at("position").as_string(), "5-1");
  EXPECT_TRUE(data.at("row").is_null());
  EXPECT_EQ(json::serialize(data.at("persisted")),
            R"({"buffer":true,"archive":false,"index":false})");
}

}  // namespace
}  // namespace daybook::api
