// A payload inside JSON: as text where it is UTF-8, as base64 where that is not so or is shorter.
#include "api/feed_entry.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "core/text.hpp"
#include "tests/contract/payloads.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;

// What a reader makes of it.
std::string read_back(const std::string& member) {
  const json::value value = json::parse("{" + member + "}");
  if (const auto* text = value.get_object().if_contains("text"))
    return std::string(text->get_string());
  const auto bytes = core::from_base64(value.at("base64").get_string());
  return std::string(core::as_text(bytes.value()));
}

TEST(PayloadMember, comes_back_as_it_went_in) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  const auto random = tests::random_bytes(100'000, 7);
  for (const std::string& payload :
       {std::string("{\"a\": \"b\\\\\"}\r\n\t"), std::string("gr\xC3\xBC\xC3\x9F \xF0\x9F\x93\x96"),
        std::string("\x7F\x00 tail", 7), every_byte, std::string(3000, '\x01'), std::string("x"),
        std::string(core::as_text(random))}) {
    EXPECT_EQ(read_back(payload_member(core::as_bytes(payload))), payload);
  }
}

TEST(PayloadMember, is_text_where_that_is_utf8_and_not_longer) {
  const auto kind = [](std::string_view payload) {
    const std::string member = payload_member(core::as_bytes(payload));
    return member.substr(1, member.find('"', 1) - 1);
  };
  EXPECT_EQ(kind("{\"level\":\"info\",\"user\":\"m\xC3\xBCller\",\"more\":\"enough text\"}"),
            "text");
  EXPECT_EQ(kind("caf\xE9"), "base64");
  EXPECT_EQ(kind(std::string(100, '\x01')), "base64");
  EXPECT_LE(payload_member(core::as_bytes(std::string(90'000, '\x02'))).size(), 120'020U);
}

TEST(PayloadJson, is_the_same_bytes_where_they_are_one_json_text) {
  const std::string deep = std::string(50, '[') + std::string(50, ']');
  for (const std::string& text :
       {std::string("{\"id\": 0,\n \"id\": 1.50e+2}\n"), std::string("17"),
        std::string("\"gr\xC3\xBC\""), std::string(" null "), deep}) {
    EXPECT_EQ(payload_json_text(core::as_bytes(text)), text);
  }
}

TEST(PayloadJson, is_nothing_where_an_array_of_it_would_be_broken) {
  for (const std::string_view text : {"", " ", "{\"id\":", "1,2", "1 2", "{} ]", "[1,]", "nul", "-",
                                      "\"caf\xE9\"", "\xEF\xBB\xBF{}", "NaN", "'a'"}) {
    EXPECT_EQ(payload_json_text(core::as_bytes(text)), "") << text;
  }
}

TEST(PayloadJson, is_what_says_so) {
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8", "text/json",
                           "application/cloudevents+json"}) {
    EXPECT_TRUE(says_json(type)) << type;
  }
  for (const char* type : {"", "text/plain", "application/x-ndjson", "application/jsonl", "json"}) {
    EXPECT_FALSE(says_json(type)) << type;
  }
}

}  // namespace
}  // namespace daybook::api
