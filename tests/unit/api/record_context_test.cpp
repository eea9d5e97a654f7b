// What is kept of how a record came, and that no secret is among it.
#include "api/record_context.hpp"

#include <gtest/gtest.h>

#include "api/config_loader.hpp"
#include "core/envelope.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using Context = std::map<std::string, std::string>;
using Lines = std::vector<std::pair<std::string, std::string>>;

core::Result<Context> context_of(const Lines& lines, const core::Config& config) {
  core::http::RequestHead head;
  for (const auto& [name, value] : lines) head.fields.add(name, value);
  return record_context(head, "192.0.2.7", "records", config);
}

core::Config keeps(const std::string& principal, const std::string& headers) {
  core::Config config;
  config.ingest_principal_header = principal;
  config.ingest_context_headers = headers;
  return config;
}

TEST(RecordContext, keeps_door_address_and_agent_and_nothing_else_by_itself) {
  const auto context = context_of({{"User-Agent", "curl/8"},
                                   {"Authorization", "Bearer s3cret"},
                                   {"X-Api-Key", "s3cret"},
                                   {"X-Request-Id", "7"}},
                                  {});
  ASSERT_TRUE(context);
  EXPECT_EQ(*context,
            (Context{{"door", "records"}, {"peer", "192.0.2.7"}, {"user_agent", "curl/8"}}));
}

TEST(RecordContext, keeps_the_principal_and_the_headers_that_are_listed) {
  const auto config = keeps("X-User", "X-Request-Id, traceparent,absent");
  const auto context = context_of({{"x-user", "ada"},
                                   {"x-request-id", "7"},
                                   {"X-Request-ID", "8"},
                                   {"Traceparent", "00-a-b-01"},
                                   {"X-Other", "no"}},
                                  config);
  ASSERT_TRUE(context);
  EXPECT_EQ(*context, (Context{{"door", "records"},
                               {"peer", "192.0.2.7"},
                               {"principal", "ada"},
                               {"header.x-request-id", "7, 8"},
                               {"header.traceparent", "00-a-b-01"}}));
}

TEST(RecordContext, refuses_a_principal_that_stands_twice) {
  const auto context = context_of({{"X-User", "root"}, {"X-User", "ada"}}, keeps("x-user", ""));
  ASSERT_FALSE(context);
  EXPECT_EQ(context.error().code, core::Code::invalid_argument);
  EXPECT_EQ(context.error().detail.find("root"), std::string::npos);
}

TEST(RecordContext, values_are_utf8_within_their_bound) {
  const std::string long_agent(core::limits::kContextValueBytesMax - 1, 'a');
  auto context = context_of({{"User-Agent", long_agent + "\xC3\xBC" + "b"}}, {});
  ASSERT_TRUE(context);
  EXPECT_EQ((*context)["user_agent"], long_agent);
  context = context_of({{"User-Agent", "M\xFCller"}}, {});
  ASSERT_TRUE(context);
  EXPECT_EQ((*context)["user_agent"], "M\xC3\xBCller");
}

TEST(RecordContext, fits_the_envelope_beside_the_largest_attributes) {
  core::Config config = keeps("X-User", "");
  Lines lines = {{"User-Agent", std::string(9999, '"')}, {"X-User", std::string(9999, '"')}};
  for (std::size_t i = 0; i < core::limits::kContextHeadersMax; ++i) {
    std::string name = "h" + std::to_string(i);
    name.resize(core::limits::kContextHeaderNameBytesMax, 'h');
    if (i != 0) config.ingest_context_headers += ",";
    config.ingest_context_headers += name;
    lines.emplace_back(name, std::string(9999, '\\'));
  }
  const auto context = context_of(lines, config);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->size(), core::limits::kContextHeadersMax + 4);
  core::Envelope envelope;
  envelope.context = *context;
  for (std::size_t i = 0; i < core::limits::kAttributesMax; ++i) {
    envelope.attributes["name" + std::to_string(i)] =
        std::string(core::limits::kAttributeBytesMax, '"');
  }
  EXPECT_LE(core::to_json(envelope).size(), core::limits::kEnvelopeBytesMax * 3 / 4);
}

TEST(RecordContext, settings_refuse_headers_that_carry_secrets) {
  for (const char* name : {"Authorization", "proxy-authorization", "Cookie", "Set-Cookie",
                           "X-Api-Key", "api_key", "Ocp-Apim-Subscription-Key", "X-Auth-Token",
                           "X-Goog-IAP-JWT-Assertion", "X-Amz-Security-Token", "not a name", ""}) {
    std::vector<std::string> broken;
    check_context_settings(keeps("", "X-Ok," + std::string(name)), broken);
    ASSERT_EQ(broken.size(), 1U) << name;
    EXPECT_NE(broken.front().find("ingest.context_headers"), std::string::npos);
  }
  std::vector<std::string> broken;
  check_context_settings(keeps("Authorization", ""), broken);
  ASSERT_EQ(broken.size(), 1U);
  EXPECT_NE(broken.front().find("ingest.principal_header"), std::string::npos);
  broken.clear();
  check_context_settings(keeps("X-Auth-Request-User", "Idempotency-Key, X-Forwarded-For"), broken);
  EXPECT_TRUE(broken.empty()) << broken.front();
}

TEST(RecordContext, settings_list_a_bounded_number_of_headers) {
  std::string names = "a0";
  for (std::size_t i = 1; i <= core::limits::kContextHeadersMax; ++i) {
    names += ",a" + std::to_string(i);
  }
  std::vector<std::string> broken;
  check_context_settings(keeps("", names), broken);
  EXPECT_EQ(broken.size(), 1U);
}

TEST(RecordContext, names_of_metadata_that_mean_a_secret_are_known_in_any_case) {
  for (const char* name : {"apiKey", "API_KEY", "x-api-key", "password", "dbPassword", "authToken",
                           "clientSecret", "Authorization", "privateKey"}) {
    EXPECT_TRUE(may_carry_secret(name)) << name;
  }
  for (const char* name : {"partitionKey", "branch", "sessionNumber", "keyboard", "passport"}) {
    EXPECT_FALSE(may_carry_secret(name)) << name;
  }
}

}  // namespace
}  // namespace daybook::api
