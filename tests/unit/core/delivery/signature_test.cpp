// Signatures of notices, against the published test vector of Standard Webhooks.
#include "core/delivery/signature.hpp"

#include <gtest/gtest.h>

#include "core/text.hpp"

namespace daybook::core::delivery {
namespace {

// standard-webhooks, libraries/javascript/src/webhook.test.ts, "sign function works".
constexpr std::string_view kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr std::string_view kId = "msg_p5jXN8AQM9LWM0D4loKWxJek";
constexpr std::int64_t kTime = 1614265330;
constexpr std::string_view kBody = R"({"test": 2432232314})";
constexpr std::string_view kSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

TEST(WebhookSignature, is_the_published_one) {
  const auto secret = WebhookSecret::parse(kSecret);
  ASSERT_TRUE(secret) << secret.error().detail;
  EXPECT_EQ(secret->sign(kId, kTime, as_bytes(kBody)), kSignature);
}

TEST(WebhookSignature, covers_id_time_and_body) {
  const auto secret = WebhookSecret::parse(kSecret);
  EXPECT_NE(secret->sign("msg_other", kTime, as_bytes(kBody)), kSignature);
  EXPECT_NE(secret->sign(kId, kTime + 1, as_bytes(kBody)), kSignature);
  EXPECT_NE(secret->sign(kId, kTime, as_bytes(R"({"test": 2432232315})")), kSignature);
}

TEST(WebhookSignature, several_secrets_give_several_signatures) {
  const auto old_one = WebhookSecret::parse(kSecret);
  const ByteVector key(32, std::byte{7});
  const auto new_one = WebhookSecret::parse("whsec_" + to_base64(key));
  ASSERT_TRUE(new_one) << new_one.error().detail;
  const std::string all = sign_all({*new_one, *old_one}, kId, kTime, as_bytes(kBody));
  EXPECT_EQ(all, new_one->sign(kId, kTime, as_bytes(kBody)) + " " + std::string(kSignature));
  EXPECT_EQ(sign_all({}, kId, kTime, as_bytes(kBody)), "");
}

TEST(WebhookSignature, a_secret_that_is_none_is_refused_without_being_shown) {
  const std::string short_key = "whsec_" + to_base64(ByteVector(23));
  const std::string long_key = "whsec_" + to_base64(ByteVector(65));
  for (const std::string& text :
       {std::string("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), std::string("whsec_"),
        std::string("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!"), std::string("whsk_abc"), short_key,
        long_key}) {
    const auto secret = WebhookSecret::parse(text);
    ASSERT_FALSE(secret) << text;
    EXPECT_EQ(secret.error().code, Code::invalid_argument);
    if (text.size() > 6) {
      EXPECT_EQ(secret.error().detail.find(text.substr(6)), std::string::npos);
    }
    EXPECT_NE(secret.error().detail.find("openssl rand"), std::string::npos);
  }
}

}  // namespace
}  // namespace daybook::core::delivery
