// What the answers of subscribers mean.
#include "core/delivery/verdict.hpp"

#include <gtest/gtest.h>

namespace daybook::core::delivery {
namespace {

using namespace std::chrono_literals;
using Kind = Verdict::Kind;

// Sun, 06 Nov 1994 08:49:37 GMT
constexpr WallTime kNow(std::chrono::seconds(784111777));

Verdict of(int status, const std::string& retry_after = "") {
  http::ResponseHead head;
  head.status = status;
  if (!retry_after.empty()) head.fields.add("retry-after", retry_after);
  return judge(head, kNow);
}

TEST(DeliveryVerdict, only_2xx_is_delivered) {
  for (const int status : {200, 201, 202, 204, 299}) EXPECT_EQ(of(status).kind, Kind::delivered);
}

TEST(DeliveryVerdict, an_absence_counts_against_no_record) {
  for (const int status : {429, 502, 503, 504}) {
    EXPECT_EQ(of(status).kind, Kind::away) << status;
    EXPECT_NE(of(status).detail.find(std::to_string(status)), std::string::npos);
  }
  EXPECT_EQ(of(429).reason, "throttled");
  for (const Code code :
       {Code::unavailable, Code::timeout, Code::closed, Code::denied, Code::misconfigured}) {
    const Verdict verdict = judge(Error{code, Origin::sink, Retry::safe, "why"});
    EXPECT_EQ(verdict.kind, Kind::away) << to_string(code);
    EXPECT_EQ(verdict.detail, "why");
  }
}

TEST(DeliveryVerdict, every_other_answer_is_about_the_record) {
  for (const int status : {301, 302, 307, 400, 401, 403, 404, 409, 422, 500, 501}) {
    EXPECT_EQ(of(status).kind, Kind::failed) << status;
  }
  EXPECT_EQ(of(404).reason, "status_4xx");
  EXPECT_EQ(of(500).reason, "status_5xx");
  EXPECT_NE(of(302).detail.find("redirects are not followed"), std::string::npos);
  EXPECT_EQ(of(410).kind, Kind::gone);
  EXPECT_EQ(
      judge(Error{Code::invalid_argument, Origin::sink, Retry::unknown_outcome, "no HTTP"}).kind,
      Kind::failed);
}

TEST(DeliveryVerdict, retry_after_is_seconds_or_a_date_and_bounded) {
  const std::vector<std::pair<std::string, std::optional<Duration>>> cases = {
      {"0", 0s},
      {"120", 120s},
      {" 7 ", 7s},
      {"99999", 1h},
      {"99999999999999999999999", 1h},
      {"Sun, 06 Nov 1994 08:50:37 GMT", 60s},
      {"Sun, 06 Nov 1994 08:40:37 GMT", 0s},
      {"Mon, 06 Nov 2034 08:49:37 GMT", 1h},
      {"-1", std::nullopt},
      {"1.5", std::nullopt},
      {"soon", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(parse_retry_after(text, kNow), expected) << text;
  }
  EXPECT_EQ(of(503, "3").retry_after, 3s);
  EXPECT_EQ(of(500, "3").retry_after, 3s);
  EXPECT_EQ(of(503).retry_after, std::nullopt);
}

}  // namespace
}  // namespace daybook::core::delivery
