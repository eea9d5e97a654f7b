#include "core/text.hpp"

#include <array>
#include <limits>

#include <gtest/gtest.h>

namespace daybook::core {
namespace {

using std::chrono::milliseconds;

std::string text_of(const std::optional<ByteVector>& bytes) {
  return bytes ? std::string(as_text(*bytes)) : "(none)";
}

TEST(Hex, goes_there_and_back) {
  ByteVector all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::byte>(i));
  const std::string hex = to_hex(all);
  EXPECT_EQ(hex.substr(0, 8), "00010203");
  EXPECT_EQ(hex.substr(504), "fcfdfeff");
  EXPECT_EQ(from_hex(hex), all);
  EXPECT_EQ(text_of(from_hex("4A4b")), "JK");
  EXPECT_EQ(text_of(from_hex("")), "");
  for (const std::string_view bad : {"0", "0g", "g0", "0x", " 00", "00 "}) {
    EXPECT_FALSE(from_hex(bad)) << bad;
  }
}

TEST(Base64, knows_the_vectors_of_rfc_4648) {
  const std::array<std::pair<std::string_view, std::string_view>, 7> vectors = {
      {{"", ""},
       {"f", "Zg=="},
       {"fo", "Zm8="},
       {"foo", "Zm9v"},
       {"foob", "Zm9vYg=="},
       {"fooba", "Zm9vYmE="},
       {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(text_of(from_base64(encoded)), plain);
  }
}

TEST(Base64, goes_there_and_back_for_every_length_and_byte) {
  ByteVector bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes) << "length " << i;
    bytes.push_back(static_cast<std::byte>(255 - (i * 7) % 256));
  }
}

TEST(Base64, refuses_what_rfc_4648_refuses) {
  for (const std::string_view bad :
       {"Z", "Zg", "Zg=", "Zm9v=", "Zg==Zg==", "Zg==\n", "Z g=", "====", "=",
        "Zm9v====", "Z===", "Zh==", "Zm9=", "Zm-v", "Zm_v", "Zg=a", "Zm9vZg=a"}) {
    EXPECT_FALSE(from_base64(bad)) << bad;
  }
}

TEST(Size, reads_every_unit) {
  const std::vector<std::pair<std::string_view, std::uint64_t>> table = {
      {"0", 0},
      {"0B", 0},
      {"4096", 4096},
      {"1B", 1},
      {"256KiB", 256 * KiB},
      {"8MiB", 8 * MiB},
      {"1GiB", GiB},
      {"1kB", 1000},
      {"2MB", 2'000'000},
      {"3GB", 3'000'000'000},
      {" 8 MiB ", 8 * MiB},
      {"18446744073709551615", std::numeric_limits<std::uint64_t>::max()}};
  for (const auto& [text, bytes] : table) EXPECT_EQ(parse_size(text), bytes) << text;
}

TEST(Size, refuses_what_it_does_not_understand) {
  for (const std::string_view bad :
       {"", "MiB", "-1", "1.5MiB", "8mib", "8M", "8MiBs", "8 MiB 1", "0x10", "18446744073709551616",
        "18446744073709551615KiB", "+1"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
}

TEST(Size, prints_exactly_what_it_reads_back) {
  const std::vector<std::pair<std::uint64_t, std::string_view>> table = {{0, "0B"},
                                                                         {1, "1B"},
                                                                         {1023, "1023B"},
                                                                         {KiB, "1KiB"},
                                                                         {KiB + 1, "1025B"},
                                                                         {8 * MiB, "8MiB"},
                                                                         {1536 * KiB, "1536KiB"},
                                                                         {GiB, "1GiB"},
                                                                         {3 * GiB, "3GiB"},
                                                                         {1'000'000, "1000000B"}};
  for (const auto& [bytes, text] : table) {
    EXPECT_EQ(format_size(bytes), text);
    EXPECT_EQ(parse_size(text), bytes) << text;
  }
}

TEST(DurationText, reads_every_unit_and_wants_one) {
  const std::vector<std::pair<std::string_view, std::int64_t>> table = {{"0ms", 0},
                                                                        {"250ms", 250},
                                                                        {"2s", 2'000},
                                                                        {"5m", 300'000},
                                                                        {"1h", 3'600'000},
                                                                        {"7d", 604'800'000},
                                                                        {"3650d", 315'360'000'000}};
  for (const auto& [text, ms] : table) EXPECT_EQ(parse_duration(text), milliseconds(ms)) << text;
  for (const std::string_view bad : {"", "5", "0", "s", "-1s", "1.5s", "1S", "1w", "1h30m",
                                     "99999999999999999999s", "9223372036854775807d"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(DurationText, prints_exactly_what_it_reads_back) {
  const std::vector<std::pair<std::int64_t, std::string_view>> table = {
      {0, "0ms"},      {1, "1ms"},        {1'000, "1s"},      {1'500, "1500ms"},  {60'000, "1m"},
      {90'000, "90s"}, {3'600'000, "1h"}, {86'400'000, "1d"}, {604'800'000, "7d"}};
  for (const auto& [ms, text] : table) {
    EXPECT_EQ(format_duration(milliseconds(ms)), text);
    EXPECT_EQ(parse_duration(text), milliseconds(ms)) << text;
  }
}

WallTime at_us(std::int64_t us) {
  return WallTime(std::chrono::microseconds(us));
}

TEST(TimeText, prints_rfc_3339_with_microseconds) {
  EXPECT_EQ(format_time(at_us(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(format_time(at_us(1)), "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(format_time(at_us(1'795'233'906'123'456)), "2026-11-21T04:05:06.123456Z");
  EXPECT_EQ(format_time(at_us(951'827'696'000'000)), "2000-02-29T12:34:56.000000Z");
  EXPECT_EQ(format_time(at_us(-1)), "1969-12-31T23:59:59.999999Z");
}

TEST(TimeText, reads_any_offset_and_any_number_of_digits) {
  const std::vector<std::pair<std::string_view, std::int64_t>> table = {
      {"2026-11-21T04:05:06Z", 1'795'233'906'000'000},
      {"2026-11-21t04:05:06z", 1'795'233'906'000'000},
      {"2026-11-21 04:05:06Z", 1'795'233'906'000'000},
      {"2026-11-21T04:05:06.1Z", 1'795'233'906'100'000},
      {"2026-11-21T04:05:06.123456Z", 1'795'233'906'123'456},
      {"2026-11-21T04:05:06.123456789Z", 1'795'233'906'123'456},
      {"2026-11-21T04:05:06.12345678901234567890123456789Z", 1'795'233'906'123'456},
      {"2026-11-21T05:35:06+01:30", 1'795'233'906'000'000},
      {"2026-11-20T20:05:06-08:00", 1'795'233'906'000'000},
      {"2026-11-21T04:05:06+00:00", 1'795'233'906'000'000},
      {"1969-12-31T23:59:59.999999Z", -1},
      {"1970-01-01T00:00:00Z", 0}};
  for (const auto& [text, us] : table) EXPECT_EQ(parse_time(text), at_us(us)) << text;
}

TEST(TimeText, refuses_what_is_no_time) {
  for (const std::string_view bad : {"",
                                     "2026",
                                     "2026-11-21",
                                     "2026-11-21T04:05:06",
                                     "2026-11-21T04:05Z",
                                     "2026-02-29T00:00:00Z",
                                     "2026-13-01T00:00:00Z",
                                     "2026-00-01T00:00:00Z",
                                     "2026-11-31T00:00:00Z",
                                     "2026-11-21T24:00:00Z",
                                     "2026-11-21T04:60:00Z",
                                     "2026-11-21T04:05:61Z",
                                     "2026-11-21T04:05:06.Z",
                                     "2026-11-21T04:05:06+0100",
                                     "2026-11-21T04:05:06+24:00",
                                     "2026-11-21T04:05:06+01:60",
                                     "2026-11-21T04:05:06ZZ",
                                     "2026-11-21T04:05:06Z ",
                                     " 2026-11-21T04:05:06Z",
                                     "2026/11/21T04:05:06Z",
                                     "2026-11-21X04:05:06Z",
                                     "2026-1a-21T04:05:06Z",
                                     "+026-11-21T04:05:06Z",
                                     "1795233906"}) {
    EXPECT_FALSE(parse_time(bad)) << bad;
  }
}

TEST(TimeText, sorts_as_time_does) {
  EXPECT_LT(format_time(at_us(999'999)), format_time(at_us(1'000'000)));
  EXPECT_LT(format_time(at_us(1'795'233'906'123'456)), format_time(at_us(1'795'233'906'123'457)));
}

TEST(PercentCode, keeps_unreserved_characters_only) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a b/c+d%e=f&g"), "a%20b%2Fc%2Bd%25e%3Df%26g");
  EXPECT_EQ(percent_encode("a b/c", true), "a%20b/c");
  EXPECT_EQ(percent_encode("\xC3\xBC"), "%C3%BC");
  EXPECT_EQ(percent_encode(std::string_view("\0", 1)), "%00");
}

TEST(PercentCode, decodes_what_it_encoded_and_refuses_halves) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_decode("a+b"), "a+b");
  EXPECT_EQ(percent_decode("%41%6a%6A"), "Ajj");
  for (const std::string_view bad : {"%", "%4", "a%", "a%4", "%g0", "%0g", "%%41"}) {
    EXPECT_FALSE(percent_decode(bad)) << bad;
  }
}

TEST(Words, compares_and_trims_ascii_only) {
  EXPECT_TRUE(equals_ignoring_case("Content-Type", "cONTENT-tYPE"));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("[", "{"));  // 0x20 apart, but no letters
  EXPECT_EQ(to_lower("AbZ[\xC3\x9C"), "abz[\xC3\x9C");
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(" \t "), "");
  EXPECT_EQ(trim("\na\n"), "\na\n");
}

TEST(Words, knows_utf8) {
  for (const std::string_view good :
       {"", "plain", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\x93\x96", "\xF4\x8F\xBF\xBF",
        "\xED\x9F\xBF", "\xEE\x80\x80", "\xC2\x80", "\xE0\xA0\x80", "\xF0\x90\x80\x80"}) {
    EXPECT_TRUE(is_utf8(good)) << to_hex(as_bytes(good));
  }
  for (const std::string_view bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3x", "\xE2\x82", "\xE0\x80\x80",
        "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF", "a\xF0\x9F\x93", "\xC3\xBC\xBC"}) {
    EXPECT_FALSE(is_utf8(bad)) << to_hex(as_bytes(bad));
  }
}

TEST(Words, finds_the_near_word_and_no_far_one) {
  const std::array<std::string_view, 4> words = {"listen", "idle_timeout", "body_timeout", "level"};
  EXPECT_EQ(nearest_word("lisen", words), "listen");
  EXPECT_EQ(nearest_word("idle_timout", words), "idle_timeout");
  EXPECT_EQ(nearest_word("levle", words), "level");
  EXPECT_EQ(nearest_word("listen", words), "listen");
  EXPECT_EQ(nearest_word("xyzzy-nothing", words), "");
  EXPECT_EQ(nearest_word("listen", {}), "");
}

TEST(Text, makes_utf8_of_any_bytes) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"\xC3\xBC\xE2\x82\xAC\xF0\x9F\x93\x96", "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x93\x96"},
      {"caf\xE9", "caf\xEF\xBF\xBD"},
      {"\xC3", "\xEF\xBF\xBD"},
      {"\xE2\x82x", "\xEF\xBF\xBD\xEF\xBF\xBDx"},
      {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
  };
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(to_utf8(bytes), text);
    EXPECT_TRUE(is_utf8(to_utf8(bytes)));
  }
}

}  // namespace
}  // namespace daybook::core
