// One message, whole and in pieces: what is taken, what is refused and at which byte.
#include "core/message_reader.hpp"

#include <gtest/gtest.h>

#include "core/text.hpp"

namespace daybook::core {
namespace {

const std::string kMeta =
    R"("messageMetaData":{"messageType":"order","sourceSystemID":"till-7",)"
    R"("sourceTransactionID":"tx 1","dateTime":"2026-11-21T04:05:06.123456Z"})";

struct Read {
  Result<void> outcome;
  std::string payload;
  std::string before, behind;
  MessageMetadata metadata;
};

Read read(std::string_view text, std::size_t piece) {
  Read read;
  MessageReader reader;
  for (Bytes rest = as_bytes(text); !rest.empty() && read.outcome;) {
    const Bytes next = rest.first(std::min(piece, rest.size()));
    read.outcome = reader.feed(next);
    if (read.outcome) read.payload += as_text(reader.payload());
    rest = rest.subspan(next.size());
  }
  if (read.outcome) read.outcome = reader.finish();
  read.before = reader.before();
  read.behind = reader.behind();
  read.metadata = reader.metadata();
  return read;
}

constexpr std::size_t kPieces[] = {1, 2, 3, 7, 64, 100'000};

TEST(MessageReader, takes_members_in_any_order_and_any_payload_as_it_stands) {
  const std::vector<std::string> payloads = {
      "null",
      "true",
      "-12.5e+3",
      "\"\"",
      R"("a \"quoted\" \u00fc \ud83d\ude00 text")",
      "[]",
      "{}",
      "[1 ,2]",
      R"({"messagePayload": {"messageMetaData":[{}]}, "a" : "b" })",
      "0"};
  for (const std::string& payload : payloads) {
    for (const std::string& text :
         {"{" + kMeta + ",\"messagePayload\":" + payload + "}",
          " { " + kMeta + " , \"messagePayload\" : " + payload + " }\n",
          "{\"messagePayload\":" + payload + "," + kMeta + "}",
          "{\"message\\u0050ayload\" : " + payload + " ," + kMeta + "} "}) {
      for (const std::size_t piece : kPieces) {
        const Read outcome = read(text, piece);
        ASSERT_TRUE(outcome.outcome) << outcome.outcome.error().detail << " in " << text;
        EXPECT_EQ(outcome.payload, payload) << text;
        EXPECT_EQ(outcome.before + outcome.payload + outcome.behind, text);
        EXPECT_EQ(outcome.metadata.type, "order");
        EXPECT_EQ(outcome.metadata.source, "till-7");
        EXPECT_EQ(outcome.metadata.transaction, "tx 1");
        EXPECT_EQ(format_time(outcome.metadata.time), "2026-11-21T04:05:06.123456Z");
      }
    }
  }
}

TEST(MessageReader, reads_what_is_optional_and_keeps_other_texts) {
  std::string meta = kMeta;
  meta.insert(meta.size() - 1,
              R"(,"contentType":"image\/png","payloadEncoding":"base64","branch":"Z\u00fcrich")");
  for (const std::size_t piece : kPieces) {
    const Read outcome = read("{" + meta + ",\"messagePayload\":\"AAAA\"}", piece);
    ASSERT_TRUE(outcome.outcome) << outcome.outcome.error().detail;
    EXPECT_EQ(outcome.metadata.content_type, "image/png");
    EXPECT_EQ(outcome.metadata.encoding, PayloadEncoding::base64);
    EXPECT_EQ(outcome.metadata.others,
              (std::map<std::string, std::string>{{"branch", "Z\xC3\xBCrich"}}));
  }
}

// Replaces one part of a good message.
std::string with(std::string_view part, std::string_view other) {
  std::string text = "{" + kMeta + R"(,"messagePayload":{"n":[1,"x"]}})";
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return text.replace(at, part.size(), other);
}

TEST(MessageReader, says_what_is_wrong_and_where) {
  const std::string good = with("order", "order");
  const auto at = [&](std::string_view part) { return "byte " + std::to_string(good.find(part)); };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "byte 0: there is nothing"},
      {"[]", "byte 0: a message is an object"},
      {"\"x\"", "byte 0: a message is an object"},
      {good.substr(0, good.size() - 1), "byte " + std::to_string(good.size() - 1) + ": the text"},
      {good + "x", "byte " + std::to_string(good.size()) + ": something follows"},
      {with("messageMetaData", "messageMetadata"), "nothing else"},
      {with("messagePayload", "payload"), "nothing else"},
      {"{" + kMeta + "}", "messagePayload is missing"},
      {"{\"messagePayload\":1}", "messageMetaData is missing"},
      {"{}", "messageMetaData is missing"},
      {"{" + kMeta + "," + kMeta + ",\"messagePayload\":1}", "messageMetaData stands twice"},
      {"{\"messagePayload\":1,\"messagePayload\":1," + kMeta + "}", "messagePayload stands twice"},
      {with("messageType", "sourceSystemID"), "messageMetaData.sourceSystemID stands twice"},
      {with("\"messageType\":\"order\",", ""), "messageMetaData.messageType is missing"},
      {with("\"sourceSystemID\":\"till-7\",", ""), "messageMetaData.sourceSystemID is missing"},
      {with("\"sourceTransactionID\":\"tx 1\",", ""),
       "messageMetaData.sourceTransactionID is missing"},
      {with(",\"dateTime\":\"2026-11-21T04:05:06.123456Z\"", ""),
       "messageMetaData.dateTime is missing"},
      {with("\"order\"", "7"), at("\"order\"") + ": messageMetaData.messageType must be a string"},
      {with("\"order\"", "{\"a\":1}"), at("\"order\"") + ": messageMetaData.messageType must be"},
      {with("\"order\"", "null"), at("\"order\"") + ": messageMetaData.messageType must be"},
      {with("order", ""), at("\"order\"") + ": messageMetaData.messageType must not be empty"},
      {with("order", "a\\u0000b"), "messageMetaData.messageType must be text"},
      {with("order", std::string(1025, 'x')), "messageMetaData.messageType must be text of at"},
      {with("order", std::string(100'000, 'x')), "messageMetaData.messageType is too long"},
      {with("2026-11-21T04", "yesterday"), "messageMetaData.dateTime must be an RFC 3339 time"},
      {with("\"messageType\"", "\"payloadEncoding\":\"hex\",\"messageType\""),
       "messageMetaData.payloadEncoding must be base64 or json"},
      {with("\"messageType\"", "\"a b\":\"x\",\"messageType\""), "a name in messageMetaData"},
      {with("\"messageType\"", "\"\":\"x\",\"messageType\""), "a name in messageMetaData"},
      {with("\"messageType\"", "\"more\":[1],\"messageType\""), "messageMetaData.more must be a"},
      {with("\"messageMetaData\":{", "\"messageMetaData\":[{"),
       "messageMetaData must be an object"},
      {with("[1,", "[1,,"),
       "byte " + std::to_string(good.find("[1,") + 3) + ": a value is missing"},
      {with("\"x\"", "\"\xFF\""),
       "byte " + std::to_string(good.find("\"x\"") + 1) + ": this is not"},
      {with("\"x\"", "\"\n\""), "a control character"},
      {with("\"x\"", R"("\ud83d")"), "half of a surrogate pair"},
      {with("\"x\"", R"("\ud83d\n")"), "half of a surrogate pair"},
      {with("\"x\"", R"("\ud83dx")"), "half of a surrogate pair"},
      {with("\"x\"", R"("\ude00")"), "half of a surrogate pair"},
      {with("\"x\"", R"("\ud83d\ud83d")"), "half of a surrogate pair"},
      {with("\"x\"", std::string(200, '[') + std::string(200, ']')), "inside one another"},
      {"\xEF\xBB\xBF" + good, "byte 0: "},
      {good.substr(0, good.size() - 1) + ",}", "a name in quotes is missing"},
      {good.substr(0, good.size() - 1) + std::string(70'000, ' ') + "}", "beside its payload"},
  };
  for (const auto& [text, words] : cases) {
    for (const std::size_t piece : kPieces) {
      const Read outcome = read(text, piece);
      ASSERT_FALSE(outcome.outcome) << "taken: " << text.substr(0, 300);
      EXPECT_EQ(outcome.outcome.error().origin, Origin::client);
      EXPECT_NE(outcome.outcome.error().detail.find(words), std::string::npos)
          << outcome.outcome.error().detail << " is not " << words;
    }
  }
}

TEST(MessageReader, times_are_rfc_3339_or_the_bare_form_in_utc) {
  const std::vector<std::pair<std::string, std::string>> good = {
      {"2026-11-21T04:05:06Z", "2026-11-21T04:05:06.000000Z"},
      {"2026-11-21T04:05:06.5+01:00", "2026-11-21T03:05:06.500000Z"},
      {"2026-11-21 04:05:06.5+01:00", "2026-11-21T03:05:06.500000Z"},
      {"2026-11-21 04:05:06", "2026-11-21T04:05:06.000000Z"},
      {"2026-11-21 04:05:06.1", "2026-11-21T04:05:06.100000Z"},
      {"2026-11-21 04:05:06.", "2026-11-21T04:05:06.000000Z"},
      {"2026-11-21 04:05:06.123456", "2026-11-21T04:05:06.123456Z"}};
  for (const auto& [text, time] : good) {
    const auto parsed = parse_message_time(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(format_time(*parsed), time);
  }
  for (const char* text :
       {"", "today", "2026-11-21", "2026-11-21T04:05:06", "2026-02-30 04:05:06", "2026-11-21 04:05",
        "2026-11-21 24:05:06", "2026-11-21 04:05:06.1234567", "2026-11-21 04:05:06 1",
        "2026-11-21 04:05:06.1.2", "21-11-2026 04:05:06", "1700000000"}) {
    EXPECT_FALSE(parse_message_time(text)) << text;
  }
}

}  // namespace
}  // namespace daybook::core
