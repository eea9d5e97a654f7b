// What the services that hand out credentials answer, whole, wrong and hostile.
#include <gtest/gtest.h>

#include "core/text.hpp"
#include "storage/aws_network_credentials.hpp"

namespace daybook::storage {
namespace {

using core::Code;

std::string sts_answer(const std::string& credentials) {
  return "<AssumeRoleWithWebIdentityResponse "
         "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
         "<AssumeRoleWithWebIdentityResult>\n"
         "<SubjectFromWebIdentityToken>system:serviceaccount:audit:daybook"
         "</SubjectFromWebIdentityToken>\n"
         "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/audit/d</Arn>"
         "<AssumedRoleId>AROA:d</AssumedRoleId></AssumedRoleUser>\n" +
         credentials +
         "</AssumeRoleWithWebIdentityResult>\n"
         "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\n"
         "</AssumeRoleWithWebIdentityResponse>\n";
}

constexpr const char* kStsKeys =
    "<Credentials><SessionToken>to/ken+&amp;==</SessionToken>"
    "<SecretAccessKey>secret&#47;key</SecretAccessKey>"
    "<Expiration>2026-11-21T15:00:00Z</Expiration><AccessKeyId>ASIA1</AccessKeyId></Credentials>";

TEST(StsAnswer, holds_keys_token_and_expiration_in_any_order) {
  const auto keys = parse_sts_answer(200, sts_answer(kStsKeys));
  ASSERT_TRUE(keys) << keys.error().detail;
  EXPECT_EQ(keys->keys.access_key, "ASIA1");
  EXPECT_EQ(keys->keys.secret_key, "secret/key");
  EXPECT_EQ(keys->keys.session_token, "to/ken+&==");
  EXPECT_EQ(keys->expires, core::parse_time("2026-11-21T15:00:00Z"));
}

TEST(StsAnswer, names_the_code_of_a_refusal_and_repeats_nothing_else) {
  const std::string body =
      "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender"
      "</Type><Code>ExpiredTokenException</Code><Message>Token SECRETWORD expired</Message></Error>"
      "<RequestId>1</RequestId></ErrorResponse>";
  const auto refused = parse_sts_answer(400, body);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::denied);
  EXPECT_NE(refused.error().detail.find("ExpiredTokenException"), std::string::npos);
  EXPECT_NE(refused.error().detail.find("Renew the web identity token"), std::string::npos);
  EXPECT_EQ(refused.error().detail.find("SECRETWORD"), std::string::npos);
  EXPECT_EQ(parse_sts_answer(503, "busy").error().code, Code::unavailable);
}

TEST(StsAnswer, is_refused_where_anything_is_missing_double_or_strange) {
  const std::string whole = kStsKeys;
  const auto without = [&](const std::string& name) {
    const std::size_t start = whole.find("<" + name + ">");
    const std::size_t end = whole.find("</" + name + ">") + name.size() + 3;
    return whole.substr(0, start) + whole.substr(end);
  };
  const std::string bad[] = {
      "",
      "<Credentials></Credentials>",
      without("AccessKeyId"),
      without("SecretAccessKey"),
      without("SessionToken"),
      without("Expiration"),
      whole + whole,
      whole.substr(0, 60),
      "<Credentials><AccessKeyId>A\r\nX-Evil: 1</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
      "<SessionToken>t</SessionToken><Expiration>2026-11-21T15:00:00Z</Expiration></Credentials>",
      "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
      "<SessionToken>t</SessionToken><Expiration>tomorrow</Expiration></Credentials>",
  };
  for (const std::string& credentials : bad) {
    EXPECT_FALSE(parse_sts_answer(200, sts_answer(credentials))) << credentials;
  }
  EXPECT_FALSE(parse_sts_answer(200, kStsKeys)) << "not inside an answer";
  EXPECT_FALSE(parse_sts_answer(500, sts_answer(kStsKeys)));
}

TEST(CredentialsJson, is_what_containers_and_instances_answer) {
  const std::string whole =
      R"({"Code":"Success","LastUpdated":"2026-11-21T08:00:00Z","Type":"AWS-HMAC",)"
      R"("AccessKeyId":"ASIA2","SecretAccessKey":"sk","Token":"tk",)"
      R"("Expiration":"2026-11-21T14:00:00Z"})";
  const auto keys = parse_credentials_json(200, whole);
  ASSERT_TRUE(keys) << keys.error().detail;
  EXPECT_EQ(keys->keys.access_key, "ASIA2");
  EXPECT_EQ(keys->keys.secret_key, "sk");
  EXPECT_EQ(keys->keys.session_token, "tk");
  EXPECT_EQ(keys->expires, core::parse_time("2026-11-21T14:00:00Z"));

  // EKS and others leave out what an instance says; a long-lived pair has neither token nor end.
  const auto plain = parse_credentials_json(200, R"({"AccessKeyId":"A","SecretAccessKey":"s"})");
  ASSERT_TRUE(plain) << plain.error().detail;
  EXPECT_FALSE(plain->expires);
}

TEST(CredentialsJson, is_refused_where_it_is_no_such_thing) {
  const std::string bad[] = {
      "",
      "null",
      "[]",
      "{",
      "{}",
      "\"text\"",
      R"({"AccessKeyId":"A"})",
      R"({"AccessKeyId":1,"SecretAccessKey":"s"})",
      R"({"AccessKeyId":"A B","SecretAccessKey":"s"})",
      R"({"AccessKeyId":"A","SecretAccessKey":"s\n"})",
      R"({"AccessKeyId":"A","SecretAccessKey":"s","Token":"a\r\nX: 1"})",
      R"({"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"})",
      R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"m","AccessKeyId":"A","SecretAccessKey":"s"})",
  };
  for (const std::string& body : bad) EXPECT_FALSE(parse_credentials_json(200, body)) << body;
  EXPECT_FALSE(parse_credentials_json(404, R"({"AccessKeyId":"A","SecretAccessKey":"s"})"));
  const auto coded = parse_credentials_json(200, R"({"Code":"AssumeRoleUnauthorizedAccess"})");
  EXPECT_NE(coded.error().detail.find("AssumeRoleUnauthorizedAccess"), std::string::npos);
}

TEST(ContainerUrl, in_the_clear_only_to_this_machine_and_known_addresses) {
  for (const char* url :
       {"https://anywhere.example/creds", "http://127.0.0.1/x", "http://127.9.9.9:80/x?y=z",
        "http://localhost:8080", "http://[::1]:80/x", "http://169.254.170.2/v2/credentials/1",
        "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials"}) {
    EXPECT_TRUE(check_container_url(url)) << url;
  }
  for (const char* url :
       {"http://anywhere.example/creds", "http://169.254.169.254/x", "http://10.0.0.1/x",
        "http://127.example.com/x", "http://localhost.example.com/", "http://[fd00:ec2::24]/",
        "http://localhost@evil.example/", "ftp://localhost/x", "/v1/credentials", ""}) {
    EXPECT_FALSE(check_container_url(url)) << url;
  }
}

}  // namespace
}  // namespace daybook::storage
