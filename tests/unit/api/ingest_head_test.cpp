// The request head of an upload as a table: what becomes an attribute, what is refused and why.
#include "api/ingest_head.hpp"

#include <gtest/gtest.h>

#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::http::Framing;
using Lines = std::vector<std::pair<std::string, std::string>>;

core::Config config() {
  core::Config settings;
  settings.ingest_tenant = "default";
  settings.ingest_body_bytes_max = 8 * core::MiB;
  return settings;
}

core::http::RequestHead head(const Lines& lines, Framing framing = Framing::length,
                             std::uint64_t length = 5) {
  core::http::RequestHead made;
  made.method = "POST";
  made.framing = framing;
  made.content_length = length;
  for (const auto& [name, value] : lines) made.fields.add(name, value);
  return made;
}

core::Result<IngestHead> read(const Lines& lines) {
  return read_ingest_head(head(lines), config());
}

void expect_refused(const core::Result<IngestHead>& outcome, Code code, const std::string& words) {
  ASSERT_FALSE(outcome) << words;
  EXPECT_EQ(outcome.error().code, code) << outcome.error().detail;
  EXPECT_EQ(outcome.error().origin, core::Origin::client);
  EXPECT_EQ(outcome.error().retry, core::Retry::never);
  EXPECT_NE(outcome.error().detail.find(words), std::string::npos) << outcome.error().detail;
}

TEST(IngestHead, a_bare_request_is_a_record_without_attributes) {
  const auto outcome = read({});
  ASSERT_TRUE(outcome);
  core::Envelope expected;
  expected.tenant = "default";
  EXPECT_EQ(outcome->envelope, expected);
  EXPECT_FALSE(outcome->key);
  EXPECT_FALSE(outcome->expected);
}

TEST(IngestHead, ce_headers_become_attributes_whatever_their_case) {
  const auto outcome = read({{"CE-ID", "e1"},
                             {"ce-source", "/bank/7"},
                             {"Ce-Type", "audit.login"},
                             {"ce-subject", "user/42"},
                             {"ce-time", "2026-01-31T13:00:00+01:00"},
                             {"ce-SpecVersion", "1.0"},
                             {"Content-Type", "Application/JSON; charset=utf-8"},
                             {"X-Other", "ignored"},
                             {"ce-", "ignored, it has no name"}});
  ASSERT_TRUE(outcome) << outcome.error().detail;
  const core::Envelope& envelope = outcome->envelope;
  EXPECT_EQ(envelope.event_id, "e1");
  EXPECT_EQ(envelope.source, "/bank/7");
  EXPECT_EQ(envelope.type, "audit.login");
  EXPECT_EQ(envelope.subject, "user/42");
  EXPECT_EQ(envelope.event_time, core::parse_time("2026-01-31T12:00:00Z"));
  EXPECT_EQ(envelope.attributes, (std::map<std::string, std::string>{{"specversion", "1.0"}}));
  EXPECT_EQ(envelope.content_type, "Application/JSON; charset=utf-8") << "kept as it was sent";
}

TEST(IngestHead, attributes_are_percent_decoded_once) {
  struct Case {
    const char* raw;
    const char* value;
  };
  for (const Case& each : {Case{"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"},
                           Case{"100%25", "100%"}, Case{"%2525", "%25"}, Case{"a+b", "a+b"},
                           Case{"", ""}, Case{"%22quoted%22", "\"quoted\""}}) {
    const auto outcome = read({{"ce-note", each.raw}});
    ASSERT_TRUE(outcome) << each.raw;
    EXPECT_EQ(outcome->envelope.attributes.at("note"), each.value);
  }
}

TEST(IngestHead, refuses_attributes_that_are_no_text) {
  for (const char* raw :
       {"%", "%4", "%zz", "%FF", "%C3", "%ED%A0%80", "%C0%80", "%00", "a%00b", "\xff"}) {
    expect_refused(read({{"ce-note", raw}}), Code::invalid_argument, "ce-note");
  }
}

TEST(IngestHead, refuses_attributes_whose_names_say_that_they_are_secrets) {
  for (const char* name : {"ce-apikey", "CE-Password", "ce-accesstoken", "ce-clientsecret"}) {
    const auto outcome = read({{name, "hunter2"}});
    expect_refused(outcome, Code::invalid_argument, core::to_lower(name));
    EXPECT_EQ(outcome.error().detail.find("hunter2"), std::string::npos);
  }
  EXPECT_TRUE(read({{"ce-partitionkey", "7"}, {"ce-keyword", "a"}}));
}

TEST(IngestHead, refuses_attributes_beyond_their_bounds) {
  const std::string longest(core::limits::kAttributeBytesMax, 'a');
  EXPECT_TRUE(read({{"ce-note", longest}}));
  expect_refused(read({{"ce-note", longest + "a"}}), Code::invalid_argument, "longer than");
  Lines many;
  for (std::size_t i = 0; i < core::limits::kAttributesMax; ++i) {
    many.emplace_back("ce-a" + std::to_string(i), "v");
  }
  EXPECT_TRUE(read(many));
  many.emplace_back("ce-onemore", "v");
  expect_refused(read(many), Code::invalid_argument, "More than 64");
}

TEST(IngestHead, refuses_headers_that_stand_twice) {
  expect_refused(read({{"ce-source", "a"}, {"CE-Source", "a"}}), Code::invalid_argument, "twice");
  expect_refused(read({{"ce-note", "a"}, {"ce-note", "b"}}), Code::invalid_argument, "twice");
  expect_refused(read({{"Idempotency-Key", "a"}, {"Idempotency-Key", "a"}}), Code::invalid_argument,
                 "twice");
}

TEST(IngestHead, refuses_times_that_are_none) {
  for (const char* time :
       {"yesterday", "2026-01-31", "2026-02-30T00:00:00Z", "1738324800", "2026-01-31T25:00:00Z"}) {
    expect_refused(read({{"ce-time", time}}), Code::invalid_argument, "RFC 3339");
  }
}

TEST(IngestHead, the_key_comes_from_its_header_or_from_source_and_id) {
  auto outcome = read({{"Idempotency-Key", "order 7"}, {"ce-source", "s"}, {"ce-id", "i"}});
  ASSERT_TRUE(outcome && outcome->key);
  EXPECT_EQ(outcome->key->tenant, "default");
  EXPECT_EQ(outcome->envelope.idempotency_key, "order 7");
  const std::string by_header = outcome->key->key;
  outcome = read({{"ce-source", "order"}, {"ce-id", "7"}});
  ASSERT_TRUE(outcome && outcome->key);
  EXPECT_NE(outcome->key->key, by_header) << "the two ways never meet";
  EXPECT_FALSE(read({{"ce-source", "s"}})->key);
  EXPECT_FALSE(read({{"ce-id", "i"}})->key);
}

TEST(IngestHead, different_events_have_different_keys) {
  const auto key = [](const char* source, const char* id) {
    return read({{"ce-source", source}, {"ce-id", id}})->key->key;
  };
  EXPECT_EQ(key("a", "b"), key("a", "b"));
  EXPECT_NE(key("a", "b"), key("a", "c"));
  EXPECT_NE(key("a", "b"), key("b", "a"));
  EXPECT_NE(key("a%20b", "c"), key("a", "b%20c")) << "the border between the two counts";
}

TEST(IngestHead, refuses_keys_beyond_their_bounds) {
  const std::string longest(core::limits::kIdempotencyKeyBytesMax, 'k');
  EXPECT_TRUE(read({{"Idempotency-Key", longest}}));
  for (const std::string& bad : {std::string(), longest + "k", std::string("\xff")}) {
    expect_refused(read({{"Idempotency-Key", bad}}), Code::invalid_argument, "Idempotency-Key");
  }
}

TEST(IngestHead, reads_the_digest_of_one_line_or_several) {
  const core::Sha256 digest = core::sha256(core::as_bytes("payload"));
  const std::string field = core::http::format_content_digest(digest);
  auto outcome = read({{"Content-Digest", field}});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->expected, digest);
  outcome = read({{"Content-Digest", "md5=:AAAA:"}, {"content-digest", field}});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->expected, digest);
  outcome = read({{"Content-Digest", "sha-512=:AAAA:"}});
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->expected);
  for (const char* bad : {"sha-256=:AAAA:", "sha-256=abc", "sha-256=:!:", "="}) {
    EXPECT_FALSE(read({{"Content-Digest", bad}})) << bad;
  }
}

TEST(IngestHead, sizes_are_judged_before_the_body) {
  const auto of = [](Framing framing, std::uint64_t length) {
    return read_ingest_head(head({}, framing, length), config());
  };
  EXPECT_TRUE(of(Framing::length, 1));
  EXPECT_TRUE(of(Framing::length, 8 * core::MiB));
  EXPECT_TRUE(of(Framing::chunked, 0));
  expect_refused(of(Framing::length, 8 * core::MiB + 1), Code::too_large, "ingest.body_bytes_max");
  expect_refused(of(Framing::length, 0), Code::invalid_argument, "no body");
  expect_refused(of(Framing::none, 0), Code::invalid_argument, "no body");
}

TEST(IngestHead, refuses_a_content_type_that_is_no_text) {
  expect_refused(read({{"Content-Type", "text/\xff"}}), Code::invalid_argument, "Content-Type");
}

}  // namespace
}  // namespace daybook::api
