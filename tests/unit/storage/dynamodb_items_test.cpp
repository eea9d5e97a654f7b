// The layout of the DynamoDB table: what an item is, where it goes, and how large the service says
// it is.
#include "storage/dynamodb_items.hpp"

#include <set>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "core/limits.hpp"
#include "tests/contract/metadata_rows.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;

const core::WallTime kNow = tests::wall_time(1'795'233'906'123'456);

core::RecordId id_of(const char* text) {
  return core::RecordId::parse(text).value();
}
core::MetadataRow full_row() {
  return tests::full_row(id_of("01a1fc47-81b3-7000-801d-410dab708dfe"), kNow);
}

TEST(DynamodbItems, keys_follow_from_the_id) {
  const json::object item = item_of(full_row(), 7).value();
  EXPECT_EQ(text_of(item, "bucket"), "01a1f-6");  // 0xe modulo 8
  EXPECT_EQ(text_of(item, "id"), "01a1fc47-81b3-7000-801d-410dab708dfe");
  EXPECT_EQ(text_of(item, "tenant_bucket"), "bank#01a1f-6");
  EXPECT_EQ(tenant_bucket("a#b c", "01a1f-6"), "a%23b%20c#01a1f-6");
  EXPECT_EQ(directory_bucket(std::nullopt), "windows");
  EXPECT_EQ(directory_bucket("a#b"), "windows#a%23b");
}

TEST(DynamodbItems, ids_made_at_one_moment_spread_over_all_shards) {
  core::RecordIdGenerator ids;
  std::set<std::string> buckets;
  for (int i = 0; i < 500; ++i) buckets.insert(bucket_of(ids.next(kNow, 0)));
  EXPECT_EQ(buckets.size(), kShards);
}

TEST(DynamodbItems, a_row_comes_back_from_its_json_as_it_went_in) {
  core::MetadataRow row = full_row();
  row.envelope.subject = "caf\xE9 \xFF";  // a header may carry any byte
  row.envelope.attributes["raw"] = std::string("\x80\x00\xFE", 3);
  row.envelope.attributes["empty"] = "";
  row.envelope.size = 18'446'744'073'709'551'615U;
  const json::object item = item_of(row, 7).value();
  const json::value wire = json::parse(json::serialize(item));
  EXPECT_TRUE(item.at("subject").get_object().contains("B"));
  const auto back = row_of_item(wire.get_object());
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, row);
}

TEST(DynamodbItems, empty_texts_are_left_out) {
  const core::MetadataRow bare = tests::bare_row(full_row().envelope.id, kNow);
  const json::object item = item_of(bare, 7).value();
  for (const char* name : {"source", "event_id", "event_time", "subject", "attributes"}) {
    EXPECT_FALSE(item.contains(name)) << name;
  }
  EXPECT_EQ(row_of_item(item).value(), bare);
}

TEST(DynamodbItems, an_unusable_value_is_named) {
  const json::object whole = item_of(full_row(), 7).value();
  const std::pair<const char*, const char*> cases[] = {
      {"id", R"({"S":"x"})"},
      {"sha256", R"({"S":"12"})"},
      {"stored_sha256", R"({"N":"12"})"},
      {"received_at", R"({"S":"yesterday"})"},
      {"indexed_at", R"({"BOOL":true})"},
      {"event_time", R"({"S":""})"},
      {"size", R"({"S":"12"})"},
      {"stored_size", R"({"N":"-1"})"},
      {"attempts", R"({"N":"1e3"})"},
      {"data_offset", "17"},
      {"frames", R"({"L":[{"N":"4294967296"}]})"},
      {"frames", R"({"S":"1"})"},
      {"attributes", R"({"M":{"a":{"N":"1"}}})"},
      {"attributes", R"({"M":[]})"},
      {"context", R"({"S":"x"})"},
      {"started_us", R"({"S":"1"})"},
      {"archived_us", R"({"N":"1.5"})"},
  };
  for (const auto& [name, value] : cases) {
    json::object item = whole;
    item[name] = json::parse(value);
    const auto row = row_of_item(item);
    ASSERT_FALSE(row) << name << value;
    EXPECT_EQ(row.error().code, Code::damaged);
    EXPECT_NE(row.error().detail.find(name), std::string::npos) << row.error().detail;
  }
  for (const char* name : {"id", "sha256", "received_at", "size", "partition"}) {
    json::object item = whole;
    item.erase(name);
    EXPECT_FALSE(row_of_item(item)) << name;
  }
  EXPECT_FALSE(row_of_item({}));
}

TEST(DynamodbItems, a_usual_item_takes_one_write_unit) {
  core::MetadataRow row = full_row();
  row.object_key = "records/default/2026/11/21/04/01a1fc47-81b3-7000-801d-410dab708dfe.json.zst";
  row.object_location = "s3://company-audit-archive/" + row.object_key;
  row.envelope.context = {
      {"door", "records"}, {"peer", "192.0.2.77:51423"}, {"user_agent", "curl/7.88.1"}};
  const std::size_t bytes = item_bytes(item_of(row, 12'345'678).value());
  EXPECT_GT(bytes, 800U);
  EXPECT_LT(bytes, 1024U);
}

TEST(DynamodbItems, the_largest_envelope_fits_and_what_does_not_is_refused_before_it_is_sent) {
  core::MetadataRow row = full_row();
  row.envelope.attributes.clear();
  // Control characters take six bytes each as JSON, but one in an item.
  for (std::size_t i = 0; i < core::limits::kAttributesMax; ++i) {
    row.envelope.attributes["attribute" + std::to_string(i)] =
        std::string(core::limits::kAttributeBytesMax, '\x01');
  }
  row.envelope.subject = std::string(core::limits::kEnvelopeBytesMax - 70'000, 'x');
  EXPECT_TRUE(item_of(row, 7));

  row.envelope.subject = std::string(kItemBytesMax, 'x');
  const auto refused = item_of(row, 7);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_large);
  EXPECT_EQ(refused.error().retry, core::Retry::never);
  EXPECT_NE(refused.error().detail.find(row.envelope.id.str()), std::string::npos);

  row = full_row();
  row.envelope.tenant = std::string(2048, 't');
  EXPECT_FALSE(item_of(row, 7));
}

}  // namespace
}  // namespace daybook::storage
