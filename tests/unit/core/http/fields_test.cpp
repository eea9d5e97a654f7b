#include "core/http/fields.hpp"

#include <gtest/gtest.h>

#include "suite_files.hpp"

namespace daybook::core::http {
namespace {

const std::string kEmpty = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

TEST(ContentDigest, is_what_it_formats) {
  EXPECT_EQ(format_content_digest(sha256(Bytes())), kEmpty);
  const auto digest = parse_content_digest(kEmpty);
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest, sha256(Bytes()));
}

TEST(ContentDigest, is_found_among_other_members) {
  for (const std::string& value :
       {"md5=:AAAA:, " + kEmpty, kEmpty + ";p=1", "  " + kEmpty + "\t,x;y=?1  ",
        "a=(1 2);b, " + kEmpty, "sha-256=:AAAA:, " + kEmpty}) {
    const auto digest = parse_content_digest(value);
    ASSERT_TRUE(digest) << value;
    EXPECT_EQ(*digest, sha256(Bytes())) << value;
  }
}

TEST(ContentDigest, may_have_no_sha_256) {
  for (const std::string_view value : {"", "sha-512=:AAAA:", "sha=:AAAA:", "x"}) {
    const auto digest = parse_content_digest(value);
    ASSERT_TRUE(digest) << value;
    EXPECT_FALSE(digest->has_value()) << value;
  }
}

TEST(ContentDigest, is_refused_where_it_is_malformed) {
  for (const std::string& value :
       {std::string("sha-256"), std::string("sha-256=::"), std::string("sha-256=:AAAA:"),
        "SHA-256" + kEmpty.substr(7), kEmpty + ",", kEmpty + " x=1",
        kEmpty.substr(0, kEmpty.size() - 1), std::string("sha-256=47DEQpj8HBSa"),
        std::string("sha-256=\"47DE\""), "x=(, " + kEmpty, kEmpty + ", sha-256=:AAAA:"}) {
    const auto digest = parse_content_digest(value);
    ASSERT_FALSE(digest) << value;
    EXPECT_EQ(digest.error().code, Code::invalid_argument);
    EXPECT_EQ(digest.error().origin, Origin::client);
  }
}

TEST(ContentDigest, agrees_with_the_published_values) {
  const auto path = testing::suite_path("rfc9530-content-digest") / "computed.jsonl";
  DAYBOOK_NEEDS_SUITE(path);
  std::size_t cases = 0;
  for (const auto& row : testing::read_json_lines(path)) {
    const Sha256 expected = sha256(as_bytes(testing::decode_base64(row, "content_b64")));
    const std::string both = "sha-512=" + testing::text_of(row, "sha-512") +
                             ", sha-256=" + testing::text_of(row, "sha-256");
    const auto digest = parse_content_digest(both);
    ASSERT_TRUE(digest);
    EXPECT_EQ(*digest, expected);
    EXPECT_EQ(format_content_digest(expected), "sha-256=" + testing::text_of(row, "sha-256"));
    ++cases;
  }
  EXPECT_EQ(cases, 3U);
}

TEST(Range, names_the_bytes_it_asks_for) {
  using Kind = RangeOutcome::Kind;
  struct Row {
    std::string_view value;
    std::uint64_t size;
    Kind kind;
    std::uint64_t first = 0, last = 0;
  };
  for (const Row& row :
       std::initializer_list<Row>{{"bytes=0-0", 10, Kind::part, 0, 0},
                                  {"bytes=2-5", 10, Kind::part, 2, 5},
                                  {"Bytes= 2-5 ", 10, Kind::part, 2, 5},
                                  {"bytes=9-", 10, Kind::part, 9, 9},
                                  {"bytes=0-", 10, Kind::part, 0, 9},
                                  {"bytes=5-99999999999999999999999", 10, Kind::part, 5, 9},
                                  {"bytes=-3", 10, Kind::part, 7, 9},
                                  {"bytes=-30", 10, Kind::part, 0, 9},
                                  {"bytes=-0", 10, Kind::unsatisfiable},
                                  {"bytes=10-", 10, Kind::unsatisfiable},
                                  {"bytes=10-12", 10, Kind::unsatisfiable},
                                  {"bytes=99999999999999999999999-", 10, Kind::unsatisfiable},
                                  {"bytes=0-", 0, Kind::unsatisfiable},
                                  {"bytes=-5", 0, Kind::whole},
                                  {"bytes=0-1,3-4", 10, Kind::whole},
                                  {"bytes=5-2", 10, Kind::whole},
                                  {"bytes=-", 10, Kind::whole},
                                  {"bytes=", 10, Kind::whole},
                                  {"bytes", 10, Kind::whole},
                                  {"", 10, Kind::whole},
                                  {"rows=0-1", 10, Kind::whole},
                                  {"bytes=a-b", 10, Kind::whole},
                                  {"bytes=1-2x", 10, Kind::whole},
                                  {"bytes=1 - 2", 10, Kind::whole},
                                  {"bytes=+1-2", 10, Kind::whole},
                                  {"bytes=1--2", 10, Kind::whole}}) {
    const RangeOutcome outcome = parse_range(row.value, row.size);
    EXPECT_EQ(outcome.kind, row.kind) << row.value;
    EXPECT_EQ(outcome.first, row.first) << row.value;
    EXPECT_EQ(outcome.last, row.last) << row.value;
  }
}

TEST(MediaType, is_lower_case_and_without_parameters) {
  EXPECT_EQ(media_type("Application/JSON; charset=utf-8"), "application/json");
  EXPECT_EQ(media_type(" text/plain "), "text/plain");
  EXPECT_EQ(media_type(""), "");
}

}  // namespace
}  // namespace daybook::core::http
