// Records as JSON, and the table of record queries.
#include "api/record_json.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "core/text.hpp"
#include "tests/contract/metadata_rows.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using tests::full_row;
using tests::wall_time;

core::RecordId new_id() {
  static core::RecordIdGenerator ids;
  return ids.next(wall_time(1'800'000'000'000'000), 3);
}
json::object parse(const std::string& text) {
  return json::parse(text).as_object();
}

TEST(RecordJson, an_indexed_record_shows_everything_that_is_known) {
  name_row_store("sqlite");
  const core::MetadataRow row = full_row(new_id(), wall_time(1'800'000'000'000'000));
  const std::string text = record_json(row, "indexed", nullptr);
  EXPECT_TRUE(text.ends_with("}\n"));
  const json::object object = parse(text);
  EXPECT_EQ(object.at("id").as_string(), row.envelope.id.str());
  EXPECT_EQ(object.at("tenant").as_string(), "bank");
  EXPECT_EQ(object.at("source").as_string(), "urn:core:7");
  EXPECT_EQ(object.at("event_id").as_string(), "event-1");
  EXPECT_EQ(object.at("type").as_string(), "audit.login");
  EXPECT_EQ(object.at("subject").as_string(), "user/42");
  EXPECT_EQ(object.at("event_time").as_string(), core::format_time(*row.envelope.event_time));
  EXPECT_EQ(object.at("content_type").as_string(), "application/json; charset=utf-8");
  EXPECT_EQ(object.at("attributes").as_object().at("zone").as_string(), "eu");
  EXPECT_EQ(object.at("size").to_number<std::uint64_t>(), row.envelope.size);
  EXPECT_EQ(object.at("stored_size").to_number<std::uint64_t>(), 5'000'000'000u);
  EXPECT_EQ(object.at("sha256").as_string(), row.envelope.sha256.hex());
  EXPECT_EQ(object.at("stored_sha256").as_string(), row.stored_sha256.hex());
  EXPECT_EQ(object.at("received_at").as_string(), core::format_time(row.envelope.received_at));
  EXPECT_EQ(object.at("durability").as_string(), "fsync");
  EXPECT_EQ(object.at("partition").to_number<int>(), 3);
  EXPECT_EQ(object.at("position").as_string(), "1795233906123-0");
  EXPECT_EQ(object.at("idempotency_key").as_string(), "key-1");
  EXPECT_EQ(object.at("object").as_object().at("key").as_string(), row.object_key);
  EXPECT_EQ(object.at("object").as_object().at("location").as_string(), row.object_location);
  EXPECT_EQ(object.at("object").as_object().at("version").as_string(), "v7");
  EXPECT_EQ(object.at("attempts").to_number<int>(), 2);
  EXPECT_EQ(object.at("state").as_string(), "indexed");
  EXPECT_EQ(object.at("indexed_at").as_string(), core::format_time(row.indexed_at));
  EXPECT_FALSE(object.contains("parked"));
  EXPECT_EQ(object.at("row"), (json::value{{"store", "sqlite"}, {"key", row.envelope.id.str()}}));
}

TEST(RecordJson, says_where_the_record_is_durable_as_far_as_it_is_known) {
  core::MetadataRow row;
  row.envelope.id = new_id();
  const auto persisted = [&row](std::string_view state,
                                const core::ParkedRecord* parked = nullptr) {
    return json::serialize(parse(record_json(row, state, parked)).at("persisted"));
  };
  EXPECT_EQ(persisted("spooled"), R"({"buffer":false,"archive":false,"index":false})");
  row.position = "1-1";
  EXPECT_EQ(persisted("buffered"), R"({"buffer":true,"archive":false,"index":false})");
  EXPECT_EQ(persisted("archived"), R"({"buffer":true,"archive":true,"index":false})");
  core::ParkedRecord parked;
  parked.entry = {row.envelope.id, "1-1", 7, {}};
  parked.stage = "archive";
  EXPECT_EQ(persisted("parked", &parked), R"({"buffer":true,"archive":false,"index":false})");
  parked.stage = "index";
  EXPECT_EQ(persisted("parked", &parked), R"({"buffer":true,"archive":true,"index":false})");
  row.object_key = "a/b";
  EXPECT_EQ(persisted("indexed"), R"({"buffer":true,"archive":true,"index":true})");
  row.position = "archived";  // straight to the archive
  EXPECT_EQ(persisted("indexed"), R"({"buffer":false,"archive":true,"index":true})");
  row.position.clear();  // made anew from the object
  EXPECT_EQ(persisted("indexed"), R"({"buffer":null,"archive":true,"index":true})");
}

TEST(RecordJson, what_is_not_known_yet_is_null) {
  core::MetadataRow row;
  row.envelope.id = new_id();
  row.envelope.tenant = "default";
  const json::object object = parse(record_json(row, "buffered", nullptr));
  for (const char* name : {"source", "event_id", "type", "subject", "event_time", "content_type",
                           "stored_sha256", "idempotency_key", "object", "row"}) {
    EXPECT_TRUE(object.at(name).is_null()) << name;
  }
  EXPECT_FALSE(object.contains("indexed_at"));
  EXPECT_EQ(object.at("state").as_string(), "buffered");
}

TEST(RecordJson, a_parked_record_says_where_and_why) {
  core::MetadataRow row;
  row.envelope.id = new_id();
  const core::ParkedRecord parked{.entry = {row.envelope.id, "1-1", 77, {}},
                                  .stage = "archive",
                                  .reason = "denied \"here\"",
                                  .retryable = true,
                                  .attempts = 6,
                                  .parked_at = wall_time(1'800'000'000'000'000)};
  const json::object object = parse(record_json(row, "parked", &parked));
  const json::object& detail = object.at("parked").as_object();
  EXPECT_EQ(detail.at("stage").as_string(), "archive");
  EXPECT_EQ(detail.at("reason").as_string(), "denied \"here\"");
  EXPECT_TRUE(detail.at("retryable").as_bool());
  EXPECT_EQ(detail.at("attempts").to_number<int>(), 6);
  const json::object list = parse(parked_json({parked, parked}));
  EXPECT_EQ(list.at("records").as_array().size(), 2u);
  EXPECT_EQ(list.at("records").as_array()[0].as_object().at("id").as_string(),
            row.envelope.id.str());
  EXPECT_EQ(parse(parked_json({})).at("records").as_array().size(), 0u);
}

TEST(RecordJson, a_full_page_has_a_cursor_and_a_short_one_none) {
  std::vector<core::MetadataRow> rows;
  for (int i = 0; i < 3; ++i) rows.push_back(full_row(new_id(), wall_time(1)));
  EXPECT_EQ(parse(page_json(rows, 3)).at("next_cursor").as_string(), rows[2].envelope.id.str());
  EXPECT_TRUE(parse(page_json(rows, 4)).at("next_cursor").is_null());
  const json::object none = parse(page_json({}, 10));
  EXPECT_TRUE(none.at("next_cursor").is_null());
  EXPECT_TRUE(none.at("records").as_array().empty());
}

TEST(RecordQuery, without_parameters_takes_the_newest_hundred) {
  const auto query = parse_record_query("");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->limit, 100u);
  EXPECT_FALSE(query->tenant || query->source || query->type || query->subject || query->state ||
               query->since || query->until || query->before);
}

TEST(RecordQuery, reads_every_parameter) {
  const core::RecordId id = new_id();
  const auto query = parse_record_query(
      "since=2026-01-01T00:00:00Z&until=2026-02-01T01:00:00%2B01:00&source=urn%3Aa&type=a.b&"
      "subject=user+1&state=indexed&tenant=bank&limit=1000&cursor=" +
      id.str());
  ASSERT_TRUE(query) << query.error().detail;
  EXPECT_EQ(query->since, core::parse_time("2026-01-01T00:00:00Z"));
  EXPECT_EQ(query->until, core::parse_time("2026-02-01T00:00:00Z"));
  EXPECT_EQ(query->source, "urn:a");
  EXPECT_EQ(query->type, "a.b");
  EXPECT_EQ(query->subject, "user 1");
  EXPECT_EQ(query->state, "indexed");
  EXPECT_EQ(query->tenant, "bank");
  EXPECT_EQ(query->limit, 1000u);
  EXPECT_EQ(query->before, id);
}

TEST(RecordQuery, an_error_names_its_parameter) {
  struct Case {
    const char* query;
    const char* words;
  };
  for (const Case& each :
       {Case{"since=yesterday", "'since'"}, Case{"until=1", "'until'"}, Case{"limit=0", "'limit'"},
        Case{"limit=1001", "'limit'"}, Case{"limit=-1", "'limit'"}, Case{"limit=ten", "'limit'"},
        Case{"limit=5x", "'limit'"}, Case{"limit=", "'limit'"},
        Case{"limit=99999999999999999999", "'limit'"}, Case{"cursor=abc", "'cursor'"},
        Case{"state=parked", "'state'"}, Case{"sorce=a", "did you mean 'source'"},
        Case{"zzzzzz=1", "'zzzzzz'"}, Case{"limit=5&sinc=1", "'sinc'"},
        Case{"LIMIT=5", "'LIMIT'"}}) {
    const auto query = parse_record_query(each.query);
    ASSERT_FALSE(query) << each.query;
    EXPECT_EQ(query.error().code, core::Code::invalid_argument);
    EXPECT_EQ(query.error().origin, core::Origin::client);
    EXPECT_NE(query.error().detail.find(each.words), std::string::npos) << query.error().detail;
  }
}

TEST(RecordQuery, a_parameter_that_cannot_be_decoded_does_not_vanish) {
  for (const char* query : {"source=%zz", "since=%zz", "limit=%", "cursor=%f", "tenant=%4"}) {
    EXPECT_FALSE(parse_record_query(query)) << query << " would list what nobody asked for";
  }
}

}  // namespace
}  // namespace daybook::api
