// ReplyReader: RESP2 as values, however the bytes are cut; hiredis' own cases among others.
#include "core/resp/reply.hpp"

#include <random>

#include <gtest/gtest.h>

#include "tests/unit/core/http/suite_files.hpp"

namespace daybook::core::resp {
namespace {

using Type = Reply::Type;

// One text for a reply and all in it, so that two can be compared.
std::string describe(const Reply& reply) {
  switch (reply.type) {
    case Type::nil:
      return "nil";
    case Type::status:
      return "+" + reply.text;
    case Type::error:
      return "-" + reply.text;
    case Type::integer:
      return ":" + std::to_string(reply.integer);
    case Type::text:
      return "'" + reply.text + "'";
    case Type::array:
      break;
  }
  std::string text = "[";
  for (const Reply& element : reply.elements) text += describe(element) + " ";
  return text + "]";
}

struct Outcome {
  std::vector<std::string> replies;
  bool failed = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Feeds the parts one after the other and takes every reply as soon as it is there.
Outcome read_all(const std::vector<std::string>& parts) {
  ReplyReader reader;
  Outcome outcome;
  for (const std::string& part : parts) {
    if (!reader.feed(as_bytes(part))) outcome.failed = true;
    for (;;) {
      auto reply = reader.next();
      if (!reply) outcome.failed = true;
      if (!reply || !*reply) break;
      outcome.replies.push_back(describe(**reply));
    }
    if (outcome.failed) {
      // A protocol error is final.
      static_cast<void>(reader.feed(as_bytes("+OK\r\n")));
      EXPECT_FALSE(reader.next());
      break;
    }
  }
  return outcome;
}

std::vector<std::string> cut(const std::string& text, std::mt19937& random) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = 1 + random() % 7;
    parts.push_back(text.substr(at, bytes));
    at += bytes;
  }
  return parts;
}

// Whole, byte by byte, and cut at random: always the same.
Outcome read_every_way(const std::string& text) {
  const Outcome whole = read_all({text});
  std::vector<std::string> bytes;
  for (char c : text) bytes.emplace_back(1, c);
  EXPECT_EQ(read_all(bytes), whole) << text;
  std::mt19937 random(5);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(read_all(cut(text, random)), whole) << text;
  return whole;
}

TEST(ReplyReader, reads_every_type) {
  using namespace std::string_literals;
  const Outcome outcome = read_every_way(
      "+OK\r\n-ERR no\r\n:-42\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n"
      "*3\r\n:1\r\n$1\r\nx\r\n*2\r\n+a\r\n$-1\r\n"s);
  EXPECT_FALSE(outcome.failed);
  EXPECT_EQ(outcome.replies,
            (std::vector<std::string>{"+OK", "-ERR no", ":-42", "'a\0b\r\n'"s, "''", "nil", "nil",
                                      "[]", "[:1 'x' [+a nil ] ]"}));
}

TEST(ReplyReader, elements_stay_in_their_place_while_arrays_grow) {
  std::string text = "*40\r\n";
  std::string expected = "[";
  for (int i = 0; i < 40; ++i) {
    const std::string number = std::to_string(i);
    text += "*3\r\n:" + number + "\r\n*2\r\n+a" + number + "\r\n$-1\r\n$1\r\nz\r\n";
    expected += "[:" + number + " [+a" + number + " nil ] 'z' ] ";
  }
  EXPECT_EQ(read_every_way(text + ":1\r\n").replies,
            (std::vector<std::string>{expected + "]", ":1"}));
}

TEST(ReplyReader, reads_a_long_text_in_socket_sized_parts) {
  const std::string body(5'000'000, 'z');
  const std::string text = "$5000000\r\n" + body + "\r\n:7\r\n";
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size(); at += 65'536) parts.push_back(text.substr(at, 65'536));
  const Outcome outcome = read_all(parts);
  ASSERT_EQ(outcome.replies.size(), 2u);
  EXPECT_EQ(outcome.replies[0].size(), body.size() + 2);
  EXPECT_EQ(outcome.replies[1], ":7");
}

TEST(ReplyReader, an_unfinished_reply_is_no_reply_and_no_error) {
  for (const char* text : {"", "+", "+OK", "+OK\r", "$5\r\nhell", "*2\r\n:1\r\n", "$5\r\nhello"}) {
    const Outcome outcome = read_every_way(text);
    EXPECT_FALSE(outcome.failed) << text;
    EXPECT_TRUE(outcome.replies.empty()) << text;
  }
}

TEST(ReplyReader, what_is_no_resp_is_an_error) {
  for (const char* text : {"@foo\r\n", "HTTP/1.1 200 OK\r\n", ":12x\r\n", "$abc\r\n", "*x\r\n",
                           ":9223372036854775808\r\n", "$-2\r\n", "*-2\r\n"}) {
    EXPECT_TRUE(read_every_way(text).failed) << text;
  }
}

TEST(ReplyReader, nesting_is_bounded) {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "*1\r\n";
    return text + ":1\r\n";
  };
  EXPECT_EQ(read_every_way(nested(4)).replies.size(), 1u) << "EXEC of XREADGROUP goes five deep";
  EXPECT_EQ(read_every_way(nested(6)).replies.size(), 1u);
  // However deep: an answer or an error, in bounded stack.
  const Outcome deep = read_all({nested(100'000)});
  EXPECT_TRUE(deep.failed || deep.replies.size() == 1);
}

TEST(ReplyReader, hiredis_cases_that_are_resp2) {
  const auto path = http::testing::suite_path("resp-hiredis") / "reader.jsonl";
  DAYBOOK_NEEDS_SUITE(path);
  std::size_t checked = 0;
  for (const auto& row : http::testing::read_json_lines(path)) {
    const std::string id = http::testing::text_of(row, "id");
    std::string text;
    bool first = true;
    for (const auto& chunk : row.at("feeds_b64").as_array()) {
      const auto bytes = from_base64(std::string(chunk.as_string()));
      ASSERT_TRUE(bytes) << id;
      int times = 1;
      if (first && row.contains("repeat_first")) {
        times = static_cast<int>(row.at("repeat_first").as_int64());
      }
      for (int i = 0; i < times; ++i) text += as_text(*bytes);
      first = false;
    }
    // RESP3 is never asked for; 128 levels and a bound of 1024 elements are configuration there;
    // a text longer than memory is simply never complete where a size has 64 bits.
    const bool resp3 = std::string_view(",_#%~(=>").find(text[0]) != std::string_view::npos ||
                       text.find("\r\n,") != std::string::npos;
    if (resp3 || row.contains("repeat_first") || text == "*1025\r\n" || id == "resp-11") {
      continue;
    }
    EXPECT_EQ(read_every_way(text).failed, http::testing::text_of(row, "expect") == "error")
        << id << " " << http::testing::text_of(row, "what");
    ++checked;
  }
  EXPECT_GE(checked, 13u);
}

}  // namespace
}  // namespace daybook::core::resp
