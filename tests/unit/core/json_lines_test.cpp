// NDJSON bodies cut into lines.
#include "core/json_lines.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace daybook::core {
namespace {

std::vector<BatchElement> lines_of(std::string_view body, std::size_t step) {
  JsonLinesReader reader(100);
  std::vector<BatchElement> lines;
  for (std::size_t at = 0; at < body.size(); at += step) {
    EXPECT_TRUE(reader.feed(as_bytes(body.substr(at, step))));
  }
  EXPECT_TRUE(reader.finish());
  while (auto line = reader.next()) lines.push_back(std::move(*line));
  return lines;
}

TEST(JsonLines, cuts_lines_however_they_arrive) {
  constexpr std::string_view kBody = "{\"a\":1}\n\r\n  \n[2]\r\n\"last\"";
  for (const std::size_t step : {kBody.size(), std::size_t{1}, std::size_t{3}}) {
    SCOPED_TRACE(step);
    const auto lines = lines_of(kBody, step);
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0].bytes, "{\"a\":1}");
    EXPECT_EQ(lines[1].bytes, "[2]");
    EXPECT_EQ(lines[1].offset, kBody.find("[2]"));
    EXPECT_EQ(lines[2].bytes, "\"last\"");
  }
}

TEST(JsonLines, refuses_a_line_above_the_limit_and_keeps_those_before) {
  JsonLinesReader reader(8);
  const auto done = reader.feed(as_bytes("12345678\n123456789\n"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::too_large);
  EXPECT_NE(done.error().detail.find("byte 9 "), std::string::npos) << done.error().detail;
  EXPECT_EQ(reader.next()->bytes, "12345678");
  EXPECT_FALSE(reader.next());
}

}  // namespace
}  // namespace daybook::core
