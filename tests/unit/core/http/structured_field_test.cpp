// The published tests of the HTTP working group, as far as dictionaries reach: dictionaries as they
// are, and items as the only member of one.
#include "core/http/structured_field.hpp"

#include <set>

#include <gtest/gtest.h>

#include "suite_files.hpp"

namespace daybook::core::http::testing {
namespace {

// RFC 4648 section 6, which the tests use for expected bytes; no validation.
std::string decode_base32(std::string_view text) {
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = (bits << 5 | static_cast<unsigned>(c >= 'A' ? c - 'A' : c - '2' + 26)) & 0xFFF;
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count));
  }
  return bytes;
}

// The expected bytes of an item [value, parameters]; nullopt where it is of another type.
std::optional<std::string> expected_bytes(const boost::json::value& item) {
  const auto* value = item.at(0).if_object();
  if (value == nullptr || text_of(*value, "__type") != "binary") return std::nullopt;
  return decode_base32(text_of(*value, "value"));
}

std::optional<std::string> bytes_of(const DictionaryMember& member) {
  if (!member.bytes) return std::nullopt;
  return std::string(as_text(*member.bytes));
}

std::string joined(const boost::json::object& row, std::string_view between) {
  std::string all;
  for (const auto& line : row.at("raw").as_array()) {
    all += (all.empty() ? "" : std::string(between)) + std::string(line.as_string());
  }
  return all;
}

bool says(const boost::json::object& row, std::string_view flag) {
  const auto* value = row.if_contains(flag);
  return value != nullptr && value->as_bool();
}

void run_dictionary(const boost::json::object& row) {
  const auto members = parse_dictionary(joined(row, ", "));
  if (says(row, "must_fail")) {
    EXPECT_FALSE(members);
    return;
  }
  if (!members) {
    EXPECT_TRUE(says(row, "can_fail")) << members.error().detail;
    return;
  }
  const auto& expected = row.at("expected").as_array();
  ASSERT_EQ(members->size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ((*members)[i].key, expected[i].at(0).as_string());
    EXPECT_EQ(bytes_of((*members)[i]), expected_bytes(expected[i].at(1)));
  }
}

void run_item(const boost::json::object& row) {
  std::string item = joined(row, ", ");
  while (item.starts_with(' ')) item.erase(0, 1);  // which an item may have and a member may not
  const auto members = parse_dictionary("a=" + item);
  if (says(row, "must_fail")) {
    EXPECT_FALSE(members);
    return;
  }
  if (!members) {
    EXPECT_TRUE(says(row, "can_fail")) << members.error().detail;
    return;
  }
  ASSERT_EQ(members->size(), 1U);
  EXPECT_EQ(bytes_of(members->front()), expected_bytes(row.at("expected")));
}

// Malformed items that are well-formed as a dictionary's member: "a=a,a" and "a=1 \t ".
const std::set<std::string> kGoodAsMember = {"0x2c in token", "trailing space"};

TEST(StructuredField, published_dictionaries_and_items_are_read_alike) {
  const auto folder = suite_path("structured-field-tests");
  DAYBOOK_NEEDS_SUITE(folder);
  std::size_t dictionaries = 0;
  std::size_t items = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    const auto cases = boost::json::parse(read_text(entry.path()));
    for (const auto& value : cases.as_array()) {
      const auto& row = value.as_object();
      SCOPED_TRACE(entry.path().filename().string() + ": " + text_of(row, "name"));
      if (text_of(row, "header_type") == "dictionary") {
        ++dictionaries;
        run_dictionary(row);
      } else if (text_of(row, "header_type") == "item") {
        ++items;
        if (!kGoodAsMember.contains(text_of(row, "name"))) run_item(row);
      }
    }
  }
  EXPECT_EQ(dictionaries, 432U);
  EXPECT_EQ(items, 840U);
}

}  // namespace
}  // namespace daybook::core::http::testing
