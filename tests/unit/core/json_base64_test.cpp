// Strict base64 inside a JSON string: against the plain codec, in any pieces and any room.
#include "core/json_base64.hpp"

#include <random>

#include <gtest/gtest.h>

#include "core/base64.hpp"
#include "core/text.hpp"

namespace daybook::core {
namespace {

Result<std::string> decode(std::string_view text, std::size_t piece, std::size_t room_bytes) {
  JsonBase64 decoder(100);
  ByteVector room(room_bytes);
  std::string decoded;
  bool full = false;
  while (full || !text.empty()) {
    const auto step = decoder.decode(text.substr(0, piece), room);
    if (!step) return pass(step);
    EXPECT_TRUE(step->consumed == std::min(piece, text.size()) || step->produced == room_bytes);
    text.remove_prefix(step->consumed);
    decoded += as_text(Bytes(room).first(step->produced));
    full = step->produced == room_bytes;
  }
  if (auto whole = decoder.finish(); !whole) return pass(whole);
  return decoded;
}

std::string random_bytes(std::size_t size) {
  std::mt19937 random(static_cast<unsigned>(size));
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(JsonBase64, gives_back_any_bytes_in_any_pieces) {
  for (const std::size_t size : {0UL, 1UL, 2UL, 3UL, 4UL, 23UL, 24UL, 25UL, 100UL, 5000UL}) {
    const std::string bytes = random_bytes(size);
    const std::string text = to_base64(as_bytes(bytes));
    for (const std::size_t piece : {1UL, 3UL, 4UL, 33UL, 100'000UL}) {
      for (const std::size_t room : {1UL, 2UL, 3UL, 31UL, 32UL, 57UL, 100'000UL}) {
        const auto decoded = decode(text, piece, room);
        ASSERT_TRUE(decoded) << decoded.error().detail;
        EXPECT_EQ(*decoded, bytes);
      }
    }
  }
}

TEST(JsonBase64, escapes_may_stand_for_its_characters) {
  const std::string bytes = random_bytes(999);
  std::string text;
  for (const char c : to_base64(as_bytes(bytes))) {
    if (c == '/') {
      text += "\\/";
    } else if (c == '+') {
      text += "\\u002B";
    } else if (c == '=') {
      text += "\\u003d";
    } else {
      text += c;
    }
  }
  for (const std::size_t piece : {1UL, 2UL, 5UL, 64UL, 100'000UL}) {
    const auto decoded = decode(text, piece, 40);
    ASSERT_TRUE(decoded) << decoded.error().detail;
    EXPECT_EQ(*decoded, bytes);
  }
}

TEST(JsonBase64, names_the_first_byte_that_is_wrong) {
  const std::string good = to_base64(as_bytes(random_bytes(300)));  // 400 characters, no padding
  const auto spoiled = [&](std::size_t at, std::string_view with) {
    std::string text = good;
    return text.replace(at, 1, with);
  };
  const std::vector<std::pair<std::string, std::size_t>> cases = {
      {spoiled(0, "!"), 0},    {spoiled(77, "-"), 77},   {spoiled(300, "_"), 300},
      {spoiled(64, " "), 64},  {spoiled(65, "\\n"), 65}, {spoiled(33, "\xC3"), 33},
      {spoiled(40, "="), 40},  {spoiled(42, "="), 43},   {spoiled(8, "\\u00e9"), 8},
      {spoiled(399, ""), 399}, {good + "A", 401},        {good + "AA", 402},
      {good + "AAA", 403},     {good + "AA=", 403},      {good + "AA==A", 404},
      {good + "AB==", 403},    {good + "AAB=", 403},     {good + "A===", 401},
      {good + "AA===", 404},   {good + "====", 400},     {good + "AA==AAAA", 404},
      {spoiled(50, "@"), 50},  {spoiled(51, "["), 51},   {spoiled(52, "`"), 52},
      {spoiled(53, "{"), 53},  {spoiled(54, ":"), 54},   {spoiled(55, ","), 55},
      {spoiled(56, "."), 56},  {spoiled(57, "*"), 57},   {spoiled(58, "\x7F"), 58}};
  for (const auto& [text, at] : cases) {
    for (const std::size_t piece : {1UL, 50UL, 100'000UL}) {
      const auto decoded = decode(text, piece, 1000);
      ASSERT_FALSE(decoded) << text.substr(at);
      EXPECT_EQ(decoded.error().code, Code::invalid_argument);
      EXPECT_TRUE(decoded.error().detail.starts_with("byte " + std::to_string(100 + at) + ": "))
          << decoded.error().detail << " of " << at;
    }
  }
}

TEST(Base64Groups, every_character_is_judged_as_the_table_says_wherever_it_stands) {
  ByteVector room(200);
  for (int c = 0; c < 256; ++c) {
    for (const std::size_t at : {0UL, 1UL, 15UL, 16UL, 31UL, 32UL, 63UL}) {
      std::string text(64, 'A');
      text[at] = static_cast<char>(c);
      const bool fits = base64_value(static_cast<char>(c)) >= 0;
      EXPECT_EQ(decode_base64_groups(text, room), fits ? 16 : at / 4) << c << " at " << at;
      if (!fits) continue;
      const auto expected = from_base64(text);
      ASSERT_TRUE(expected);
      EXPECT_TRUE(std::ranges::equal(*expected, Bytes(room).first(48))) << c;
    }
  }
}

TEST(Base64Groups, leaves_what_is_behind_the_room_alone) {
  const std::string text(400, 'z');
  for (std::size_t bytes = 0; bytes < 120; ++bytes) {
    ByteVector room(bytes + 64, std::byte{0x55});
    EXPECT_EQ(decode_base64_groups(text, MutableBytes(room).first(bytes)), bytes / 3);
    for (std::size_t i = bytes; i < room.size(); ++i) ASSERT_EQ(room[i], std::byte{0x55});
  }
}

}  // namespace
}  // namespace daybook::core
