// Multipart bodies cut into parts, whole and byte by byte, and refused where bytes could be lost.
#include "core/http/multipart.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace daybook::core::http {
namespace {

struct Read {
  std::vector<BatchElement> parts;
  std::string error;
};

Read read(std::string_view body, std::size_t step, std::size_t part_bytes_max = 100) {
  MultipartReader reader("b1", part_bytes_max);
  Read outcome;
  const auto note = [&](const Result<void>& done) {
    if (!done) outcome.error = done.error().detail;
    while (auto part = reader.next()) outcome.parts.push_back(std::move(*part));
    return done.has_value();
  };
  for (std::size_t at = 0; at < body.size(); at += step) {
    if (!note(reader.feed(as_bytes(body.substr(at, step))))) return outcome;
  }
  note(reader.finish());
  return outcome;
}

constexpr std::string_view kTwo =
    "--b1\r\nContent-Type: text/plain\r\nce-id: 7\r\n\r\nfirst\r\n--not it\r\n"
    "--b1  \r\n\r\n\r\nsecond\r\r\n--b1--\r\n";

TEST(Multipart, gives_the_parts_bytes_as_they_stand_however_they_arrive) {
  for (const std::size_t step : {kTwo.size(), std::size_t{1}, std::size_t{7}}) {
    SCOPED_TRACE(step);
    const Read outcome = read(kTwo, step);
    EXPECT_EQ(outcome.error, "");
    ASSERT_EQ(outcome.parts.size(), 2U);
    EXPECT_EQ(outcome.parts[0].bytes, "first\r\n--not it");
    EXPECT_EQ(outcome.parts[0].fields.find("content-type"), "text/plain");
    EXPECT_EQ(outcome.parts[0].fields.find("ce-id"), "7");
    EXPECT_EQ(outcome.parts[0].offset, kTwo.find("first"));
    EXPECT_EQ(outcome.parts[1].bytes, "\r\nsecond\r");
    EXPECT_TRUE(outcome.parts[1].fields.lines().empty());
  }
}

TEST(Multipart, refuses_what_could_lose_bytes_and_says_where) {
  const struct {
    const char* what;
    std::string_view body;
    std::string_view words;
    std::size_t parts;
  } cases[] = {
      {"nothing", "", "ends without the last boundary --b1--", 0},
      {"a preamble", "hello\r\n--b1\r\n", "byte 0: it must begin with --b1", 0},
      {"cut in a part", "--b1\r\n\r\nfir", "byte 11: it ends without", 0},
      {"cut after a part", "--b1\r\n\r\nfirst\r\n--b1\r\n", "ends without", 1},
      {"an epilogue", "--b1\r\n\r\nfirst\r\n--b1--\r\nmore", "bytes follow", 1},
      {"a longer boundary", "--b1\r\n\r\nfirst\r\n--b12\r\n", "followed by a line break", 1},
      {"no header line", "--b1\r\nContent Type: x\r\n\r\n", "byte 6: this is no header line", 0},
      {"an encoding", "--b1\r\nContent-Transfer-Encoding: base64\r\n\r\n", "must be binary", 0},
      {"an empty part", "--b1\r\n\r\n--b1--", "a part is empty", 0},
  };
  for (const auto& each : cases) {
    for (const std::size_t step : {std::size_t{1000}, std::size_t{1}}) {
      SCOPED_TRACE(std::string(each.what) + " by " + std::to_string(step));
      const Read outcome = read(each.body, step);
      EXPECT_NE(outcome.error.find(each.words), std::string::npos) << outcome.error;
      EXPECT_EQ(outcome.parts.size(), each.parts);
    }
  }
}

TEST(Multipart, holds_no_part_above_its_limit) {
  const auto with = [](std::size_t bytes) {
    return "--b1\r\n\r\n" + std::string(bytes, 'x') + "\r\n--b1--";
  };
  EXPECT_EQ(read(with(100), 10).error, "");
  EXPECT_NE(read(with(101), 10).error.find("larger than 100B"), std::string::npos);
  EXPECT_NE(read("--b1\r\n\r\n" + std::string(10'000, 'x'), 10).error.find("larger than"),
            std::string::npos);
}

TEST(Multipart, finds_the_boundary_of_a_content_type) {
  const auto of = [](std::string_view type) {
    const auto boundary = multipart_boundary(type);
    return boundary ? *boundary : "refused";
  };
  EXPECT_EQ(of("multipart/mixed; boundary=b1"), "b1");
  EXPECT_EQ(of("multipart/mixed;charset=utf-8; Boundary=\"a b:c\""), "a b:c");
  for (const char* wrong :
       {"multipart/mixed", "multipart/mixed; boundary=", "x; boundary=\"a", "x; boundary=\"a \""}) {
    EXPECT_EQ(of(wrong), "refused") << wrong;
  }
  EXPECT_EQ(of("x; boundary=" + std::string(71, 'a')), "refused");
}

}  // namespace
}  // namespace daybook::core::http
