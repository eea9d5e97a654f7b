// The settings of /ingestMessage.
#include "api/message_door.hpp"

#include <gtest/gtest.h>

namespace daybook::api {
namespace {

std::vector<std::string> complaints(const std::string& origins) {
  core::Config config;
  config.ingest_message_origins = origins;
  std::vector<std::string> broken;
  check_message_settings(config, broken);
  return broken;
}

TEST(MessageSettings, origins_are_all_or_none_or_a_list) {
  for (const char* origins : {"", "*", "https://example.com", "http://localhost:3000",
                              "https://a.example, https://b.example:8443"}) {
    EXPECT_TRUE(complaints(origins).empty()) << origins;
  }
  for (const char* origins :
       {"example.com", "https://", "https://example.com/", "https://*.example",
        "*,https://example.com", "null", "https://a b"}) {
    const auto broken = complaints(origins);
    ASSERT_EQ(broken.size(), 1U) << origins;
    EXPECT_NE(broken.front().find("ingest.message_origins"), std::string::npos);
  }
}

}  // namespace
}  // namespace daybook::api
