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

}  // namespace
}  // namespace daybook::api
