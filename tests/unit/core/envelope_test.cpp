#include "core/envelope.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "core/limits.hpp"

namespace daybook::core {
namespace {

Envelope full_envelope() {
  Envelope envelope;
  envelope.id = *RecordId::parse("0190a5f0-1234-7abc-8def-0123456789ab");
  envelope.tenant = "bank";
  envelope.source = "urn:core:7";
  envelope.event_id = "event \"1\"";
  envelope.type = "audit.login";
  envelope.subject = "user/\xC3\xBC\\42";
  envelope.event_time = WallTime(std::chrono::microseconds(1'795'233'900'000'001));
  envelope.attributes = {{"empty", ""}, {"traceparent", "00-abc-def-01"}, {"zone", "a\nb\tc"}};
  envelope.context = {{"door", "ingestMessage"}, {"peer", "192.0.2.7"}};
  envelope.content_type = "application/json; charset=\"utf-8\"";
  envelope.size = 2 * limits::kBlockBytes + 5;
  envelope.sha256 = sha256(as_bytes("payload"));
  envelope.received_at = WallTime(std::chrono::microseconds(1'795'233'906'123'456));
  envelope.durability = "fsync";
  envelope.partition = 1023;
  envelope.idempotency_key = "key-1";
  envelope.frames = {1, 4'294'967'295, 17};
  return envelope;
}

Envelope bare_envelope() {
  Envelope envelope;
  envelope.id = *RecordId::parse("0190a5f0-1234-7abc-8def-0123456789ab");
  envelope.tenant = "default";
  envelope.size = 1;
  envelope.durability = "fsync";
  envelope.frames = {14};
  return envelope;
}

TEST(Envelope, keeps_every_attribute) {
  for (const Envelope& envelope : {full_envelope(), bare_envelope()}) {
    const std::string json = to_json(envelope);
    const auto read = envelope_from_json(json);
    ASSERT_TRUE(read) << read.error().detail << " in " << json;
    EXPECT_EQ(*read, envelope) << json;
  }
}

TEST(Envelope, is_json_that_a_person_can_read) {
  const std::string json = to_json(full_envelope());
  for (const std::string_view part :
       {R"("id":"0190a5f0-1234-7abc-8def-0123456789ab")", R"("tenant":"bank")",
        R"("received_at":"2026-11-21T04:05:06.123456Z")", R"("size":2097157)",
        R"("frames":[1,4294967295,17])", R"("event_id":"event \"1\"")", R"("partition":1023)"}) {
    EXPECT_NE(json.find(part), std::string::npos) << part << " is not in " << json;
  }
}

TEST(Envelope, fits_its_bound_with_the_largest_attributes) {
  Envelope envelope = full_envelope();
  for (std::size_t i = 0; i < limits::kAttributesMax; ++i) {
    envelope.attributes["name" + std::to_string(i)] = std::string(limits::kAttributeBytesMax, '"');
  }
  envelope.idempotency_key = std::string(limits::kIdempotencyKeyBytesMax, '\\');
  envelope.size = limits::kBodyBytesCeiling;
  envelope.frames.assign(limits::kBodyBytesCeiling / limits::kBlockBytes, 1'048'576);
  const std::string json = to_json(envelope);
  EXPECT_LE(json.size(), limits::kEnvelopeBytesMax);
  const auto read = envelope_from_json(json);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(*read, envelope);
}

// Replaces one part of a good envelope's JSON.
std::string with(std::string_view part, std::string_view other) {
  std::string json = to_json(full_envelope());
  const std::size_t at = json.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return json.replace(at, part.size(), other);
}

TEST(Envelope, calls_damaged_texts_damaged) {
  const std::string good = to_json(full_envelope());
  const std::vector<std::string> damaged = {
      "",
      "null",
      "[]",
      "{}",
      "{",
      good.substr(0, good.size() - 1),
      good + "x",
      with("0190a5f0-", "0190a5f0"),
      with("\"bank\"", "7"),
      with("\"audit.login\"", "null"),
      with("2026-11-21T04:05:06.123456Z", "yesterday"),
      with("2026-11-21T04:05:00.000001Z", "soon"),
      with("2097157", "-1"),
      with("2097157", "\"2097157\""),
      with("2097157", "1.5"),
      with("2097157", "1e99"),
      with("\"partition\":1023", "\"partition\":-1"),
      with("[1,", "[-1,"),
      with("[1,", "[4294967296,"),
      with("[1,", "[\"1\","),
      with("[1,", "[1,1,"),
      with("[1,4294967295,17]", "[]"),
      with("[1,4294967295,17]", "{}"),
      with("\"frames\"", "\"framez\""),
      with("\"sha256\"", "\"sha257\""),
      with("\"size\"", "\"seize\""),
      with("\"id\"", "\"ID\""),
      with(sha256(as_bytes("payload")).hex(), "abcd"),
      with("\"00-abc-def-01\"", "1"),
      with("{\"empty\"", "[\"empty\""),
      with("bank", "b\xFFnk"),
  };
  for (const std::string& json : damaged) {
    const auto read = envelope_from_json(json);
    ASSERT_FALSE(read) << "taken: " << json;
    EXPECT_EQ(read.error().code, Code::damaged) << json;
    EXPECT_EQ(read.error().retry, Retry::never) << json;
    EXPECT_FALSE(read.error().detail.empty());
  }
}

TEST(Envelope, takes_members_of_a_later_version) {
  const auto read = envelope_from_json(with("{\"id\"", "{\"later\":[1,{}],\"id\""));
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(*read, full_envelope());
}

TEST(ObjectKey, is_made_of_tenant_hour_id_and_type) {
  Envelope envelope = full_envelope();
  const std::string id = envelope.id.str();
  EXPECT_EQ(object_key(envelope, ""), "bank/2026/11/21/04/" + id + ".json.zst");
  EXPECT_EQ(object_key(envelope, "archive"), "archive/bank/2026/11/21/04/" + id + ".json.zst");
  EXPECT_EQ(object_key(envelope, "archive/"), "archive/bank/2026/11/21/04/" + id + ".json.zst");
  envelope.received_at = WallTime(std::chrono::microseconds(-1));
  EXPECT_EQ(object_key(envelope, "a/b"), "a/b/bank/1969/12/31/23/" + id + ".json.zst");
}

TEST(ObjectKey, names_the_extension_after_the_content_type) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"application/json", ".json.zst"},
      {"Application/JSON ; charset=utf-8", ".json.zst"},
      {"application/vnd.api+json", ".json.zst"},
      {"application/x-ndjson", ".ndjson.zst"},
      {"text/plain", ".txt.zst"},
      {"image/png", ".png.zst"},
      {"application/octet-stream", ".bin.zst"},
      {"", ".bin.zst"},
      {"nonsense", ".bin.zst"},
      {"../../etc/passwd", ".bin.zst"}};
  for (const auto& [type, ending] : table) {
    Envelope envelope = bare_envelope();
    envelope.content_type = type;
    EXPECT_TRUE(object_key(envelope, "").ends_with("ab" + ending)) << type;
  }
}

TEST(ObjectKey, keeps_a_tenant_in_one_part_of_the_key) {
  Envelope envelope = bare_envelope();
  envelope.tenant = "a/../b c";
  EXPECT_TRUE(object_key(envelope, "").starts_with("a%2F..%2Fb%20c/1970/"));
}

}  // namespace
}  // namespace daybook::core
