// JSON taken apart: events, pointers and elements, whole and in pieces.
#include "core/json_elements.hpp"

#include <gtest/gtest.h>

namespace daybook::core {
namespace {

using Form = JsonElements::Form;

JsonPointer pointer(std::string_view text) {
  auto parsed = JsonPointer::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : JsonPointer();
}

struct Split {
  std::vector<std::string> elements;  // or what is bad of them
  std::string error;
  friend bool operator==(const Split&, const Split&) = default;
};

Split split_in_pieces(std::string_view text, const JsonElements::Settings& settings,
                      std::size_t piece) {
  JsonElements elements(settings);
  Split split;
  const auto drain = [&] {
    for (auto next = elements.next();; next = elements.next()) {
      if (!next) split.error = next.error().detail;
      if (!next || !*next) return next.has_value();
      const auto& element = **next;
      split.elements.push_back(element.bad ? "! " + element.bad->detail
                                           : std::string(as_text(element.bytes)));
      if (!element.bad) {
        EXPECT_EQ(text.substr(element.offset, element.size), as_text(element.bytes));
      }
    }
  };
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const std::string copy(text.substr(at, piece));
    elements.feed(as_bytes(copy));
    if (!drain()) return split;
  }
  elements.finish();
  drain();
  return split;
}

// The same however the text is cut.
Split split(std::string_view text, JsonElements::Settings settings) {
  if (settings.element_bytes_max == 0) settings.element_bytes_max = KiB;
  const Split whole = split_in_pieces(text, settings, text.size() + 1);
  for (const std::size_t piece : {1, 2, 3, 7}) {
    EXPECT_EQ(whole, split_in_pieces(text, settings, piece)) << text << " in pieces of " << piece;
  }
  return whole;
}

using Texts = std::vector<std::string>;

TEST(JsonElements, elements_keep_exactly_their_bytes) {
  const auto got = split(R"( [ {"a" : 1.50e+03 , "b":"\u00e9\n"},-0,"x]," ,[ ], null,true] )", {});
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.elements, (Texts{R"({"a" : 1.50e+03 , "b":"\u00e9\n"})", "-0", R"("x],")", "[ ]",
                                 "null", "true"}));
  EXPECT_EQ(split("[]", {}).elements, Texts{});
  EXPECT_EQ(split("[]", {}).error, "");
}

TEST(JsonElements, a_pointer_finds_the_array_at_any_depth) {
  const std::string text =
      R"({"meta":{"items":[0]},"data":[7,{"a/b":{"~":[1,{"items":2}],"x":3}}],"z":[9]})";
  EXPECT_EQ(split(text, {.array = pointer("/data/1/a~1b/~0")}).elements,
            (Texts{"1", R"({"items":2})"}));
  EXPECT_EQ(split(text, {.array = pointer("/meta/items")}).elements, Texts{"0"});
  EXPECT_EQ(split(R"({"\u0061":[1]})", {.array = pointer("/a")}).elements, Texts{"1"})
      << "names compare as what they mean";
  EXPECT_EQ(split(R"({"":[1]})", {.array = pointer("/")}).elements, Texts{"1"});
}

TEST(JsonElements, a_pointer_that_finds_no_array_says_why) {
  struct Case {
    const char* text;
    const char* pointer;
    const char* error;
  };
  const Case cases[] = {
      {R"({"item":[1]})", "/items", "nothing is at /items: the document has no member 'items'"},
      {R"({"a":{"c":1}})", "/a/b", "nothing is at /a/b: /a has no member 'b'"},
      {R"({"a":[1]})", "/a/1/b", "nothing is at /a/1/b: /a is an array without a member '1'"},
      {R"({"a":[1]})", "/a/00/b", "nothing is at /a/00/b: /a is an array without a member '00'"},
      {R"({"a":3})", "/a/b", "nothing is at /a/b: /a is neither an object nor an array"},
      {R"({"a":{}})", "/a", "/a is an object, not an array"},
      {R"({"a":3})", "/a", "/a is a single value, not an array"},
      {R"({"a":3})", "", "the document is an object, not an array"},
      {R"({"a":[1],"b":1,"a":[2]})", "/a", "a name on the way to /a stands twice"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(split(c.text, {.array = pointer(c.pointer)}).error, c.error);
  }
  EXPECT_EQ(split(R"({"a":null})", {.array = pointer("/a")}), Split{}) << "an empty list to many";
}

TEST(JsonElements, a_document_that_is_no_array_may_be_the_one_element) {
  EXPECT_EQ(split(" {\"a\":[1]} ", {.one_is_enough = true}).elements, Texts{R"({"a":[1]})"});
  EXPECT_EQ(split("17", {.one_is_enough = true}).elements, Texts{"17"});
  EXPECT_EQ(split("[1,2]", {.one_is_enough = true}).elements, (Texts{"1", "2"}));
  EXPECT_NE(split("", {.one_is_enough = true}).error, "");
}

TEST(JsonElements, a_large_element_is_named_and_the_others_are_there) {
  const std::string text = R"([1,")" + std::string(100, 'x') + R"(",3])";
  const auto got = split(text, {.element_bytes_max = 20});
  EXPECT_EQ(got.elements,
            (Texts{"1", "! the element has 102 bytes, more than the 20 that are taken", "3"}));
  const auto lines = split("1\n\"" + std::string(100, 'x') + "\"\n3",
                           {.form = Form::lines, .element_bytes_max = 20});
  EXPECT_EQ(lines.elements, got.elements);
}

TEST(JsonElements, lines_are_elements_and_a_bad_one_spoils_no_other) {
  const auto got = split("{\"a\":1} \r\n\n \n{\"a\":\n[2]\n3", {.form = Form::lines});
  EXPECT_EQ(got.elements,
            (Texts{"{\"a\":1}", "! in line 4, byte 5: the text ends too soon", "[2]", "3"}));
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(split("", {.form = Form::lines}), Split{});
}

TEST(JsonElements, what_is_no_json_is_named_with_its_byte) {
  struct Case {
    std::string text;
    const char* error;
  };
  const Case cases[] = {
      {"", "byte 0: there is nothing"},
      {"[1,2", "byte 4: the text ends too soon"},
      {"[1 2]", "byte 3: a comma or ] is missing"},
      {"[1,]", "byte 3: a value is missing"},
      {"[1]x", "byte 3: something follows the value"},
      {"[01]", "byte 2: a number must not begin with 0"},
      {"[1.]", "byte 3: a digit is missing"},
      {"[-]", "byte 2: a digit is missing"},
      {"[1e+]", "byte 4: a digit is missing"},
      {"[+1]", "byte 1: a value is missing"},
      {"[nul]", "byte 4: a value is missing: this is not true, false or null"},
      {R"([{"a" 1}])", "byte 6: a colon is missing behind a name"},
      {"[{1:2}]", "byte 2: a name in quotes is missing"},
      {R"([{"a":1,}])", "byte 8: a name in quotes is missing"},
      {R"(["\x"])", "byte 3: there is no such escape"},
      {R"(["\u12G4"])", "byte 6: \\u needs four hex digits"},
      {"[\"a\nb\"]", "byte 3: a control character in a string must be escaped"},
      {"[\"\xC3(\"]", "byte 3: this is not UTF-8"},
      {"[\"\xED\xA0\x80\"]", "byte 3: this is not UTF-8"},
      {"[\"\xF5\"]", "byte 2: this is not UTF-8"},
      {"\xEF\xBB\xBF[]", "byte 0: a value is missing"},
      {std::string(200, '['), "byte 128: more than 128 arrays and objects inside one another"},
  };
  for (const Case& c : cases) EXPECT_EQ(split(c.text, {}).error, c.error) << c.text;
  const std::string deep = std::string(128, '[') + std::string(128, ']');
  EXPECT_EQ(split(deep, {}).error, "");
  EXPECT_EQ(split("[\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"]", {}).error, "");
}

TEST(JsonPointer, is_read_and_written_by_the_standard) {
  EXPECT_EQ(pointer("/a~1b/~0/").tokens(), (Texts{"a/b", "~", ""}));
  EXPECT_EQ(pointer("/a~1b/~0/").str(), "/a~1b/~0/");
  EXPECT_EQ(pointer("").tokens(), Texts{});
  for (const char* bad : {"a", "#/a", "/~", "/~2", "/a\xFF"}) {
    EXPECT_FALSE(JsonPointer::parse(bad)) << bad;
  }
}

TEST(JsonPointer, names_the_values_of_the_standards_own_document) {
  // RFC 6901 section 5.
  const std::string text = R"({"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3,
      "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8})";
  const std::pair<const char*, const char*> cases[] = {{"/foo", R"(["bar", "baz"])"},
                                                       {"/foo/0", R"("bar")"},
                                                       {"/", "0"},
                                                       {"/a~1b", "1"},
                                                       {"/c%d", "2"},
                                                       {"/e^f", "3"},
                                                       {"/g|h", "4"},
                                                       {"/i\\j", "5"},
                                                       {"/k\"l", "6"},
                                                       {"/ ", "7"},
                                                       {"/m~0n", "8"},
                                                       {"", text.c_str()}};
  for (const auto& [path, value] : cases) {
    const auto found = find_json(as_bytes(text), pointer(path));
    ASSERT_TRUE(found) << path << ": " << found.error().detail;
    EXPECT_EQ(as_text(found->bytes), value) << path;
  }
  EXPECT_EQ(find_json(as_bytes(text), pointer("/foo/-")).error().code, Code::not_found);
}

TEST(JsonPointer, values_become_text_where_they_are_one) {
  const auto text_of = [](std::string_view json) -> std::string {
    const auto found = find_json(as_bytes(json), JsonPointer());
    if (!found) return "! " + found.error().detail;
    const auto text = json_text(*found);
    return text ? *text : "! " + text.error().detail;
  };
  EXPECT_EQ(text_of(R"("a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")"), "a\"\\/\b\f\n\r\té😀");
  EXPECT_EQ(text_of("12345678901234567890.10"), "12345678901234567890.10");
  EXPECT_EQ(text_of("true"), "true");
  EXPECT_EQ(text_of("null"), "! it is null");
  EXPECT_EQ(text_of("[]"), "! it is an array, not a text");
  EXPECT_EQ(text_of("{}"), "! it is an object, not a text");
  EXPECT_EQ(text_of(R"("\ud83d")"), "! the text has half of a surrogate pair");
  EXPECT_EQ(text_of(R"("\ude00\ud83d")"), "! the text has half of a surrogate pair");
}

}  // namespace
}  // namespace daybook::core
