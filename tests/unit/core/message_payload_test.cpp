// What is archived of a payload, by declaration and value; and that nothing of it is lost.
#include "core/message_payload.hpp"

#include <gtest/gtest.h>

#include "core/text.hpp"

namespace daybook::core {
namespace {

using Form = MessagePayload::Form;

struct Archived {
  Form form;
  std::string bytes;
  std::string content_type;
};

std::string text_of(const MessagePayload& payload, const std::string& given) {
  const auto left = payload.unfinished();
  const bool decoded = payload.form() == Form::base64 || payload.form() == Form::data_url;
  const std::string bytes = given + left.bytes;
  return payload.text_begin() + (decoded ? to_base64(as_bytes(bytes)) : bytes) + left.text;
}

Result<Archived> archive(PayloadEncoding encoding, std::string_view text, std::size_t piece,
                         std::size_t room_bytes) {
  MessagePayload payload(encoding, text.front(), 1000);
  ByteVector room(room_bytes);
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    EXPECT_EQ(text_of(payload, bytes), text.substr(0, at));
    const std::string copy(text.substr(at, piece));
    if (auto fed = payload.feed(as_bytes(copy), at + piece >= text.size()); !fed) return pass(fed);
    for (;;) {
      const auto taken = payload.take(room);
      if (!taken) return pass(taken);
      if (*taken == 0) break;
      bytes += as_text(Bytes(room).first(*taken));
    }
  }
  return Archived{payload.form(), bytes, payload.content_type()};
}

TEST(MessagePayload, is_archived_as_declared_or_as_it_stands) {
  struct Case {
    PayloadEncoding encoding;
    std::string text;
    Form form;
    std::string bytes;
    std::string content_type;
  };
  const auto unsaid = PayloadEncoding::unsaid;
  const auto json = PayloadEncoding::json;
  const auto base64 = PayloadEncoding::base64;
  const auto agreed = PayloadEncoding::agreed_base64;
  const std::string long_type = "\"data:" + std::string(300, 'x') + ";base64,AAAA\"";
  const std::vector<Case> cases = {
      {unsaid, R"({"a": [1]})", Form::json, R"({"a": [1]})", ""},
      {unsaid, "17", Form::json, "17", ""},
      {unsaid, R"("")", Form::json, R"("")", ""},
      {unsaid, R"("aGVsbG8=")", Form::json, R"("aGVsbG8=")", ""},
      {json, R"("aGVsbG8=")", Form::json, R"("aGVsbG8=")", ""},
      {base64, R"("aGVsbG8=")", Form::base64, "hello", ""},
      {base64, R"("aGVsbG8gd29ybGQh")", Form::base64, "hello world!", ""},
      {base64, R"("")", Form::base64, "", ""},
      {base64, R"("data")", Form::base64, "\x75\xAB\x5A", ""},
      {unsaid, R"("data:image/png;base64,aGVsbG8=")", Form::data_url, "hello", "image/png"},
      {unsaid, R"("data:image\/png;BASE64,aGVsbG8=")", Form::data_url, "hello", "image/png"},
      {unsaid, R"("data:text/plain;charset=utf-8;base64,aGk=")", Form::data_url, "hi",
       "text/plain;charset=utf-8"},
      {unsaid, R"("data:;base64,aGk=")", Form::data_url, "hi", ""},
      {unsaid, R"("data:;base64,")", Form::data_url, "", ""},
      {json, R"("data:image/png;base64,aGVsbG8=")", Form::json,
       R"("data:image/png;base64,aGVsbG8=")", ""},
      {unsaid, R"("data:,hello")", Form::json, R"("data:,hello")", ""},
      {unsaid, R"("data:text/plain,base64")", Form::json, R"("data:text/plain,base64")", ""},
      {unsaid, R"("data: of the day")", Form::json, R"("data: of the day")", ""},
      {unsaid, R"("data:")", Form::json, R"("data:")", ""},
      {unsaid, R"("dat")", Form::json, R"("dat")", ""},
      {unsaid, R"("data:\n;base64,AAAA")", Form::json, R"("data:\n;base64,AAAA")", ""},
      {unsaid, long_type, Form::json, long_type, ""},
      {agreed, R"("aGVsbG8=")", Form::base64, "hello", ""},
      {agreed, R"("data")", Form::base64, "\x75\xAB\x5A", ""},
      {agreed, R"("dataAAAA")", Form::base64, std::string("\x75\xAB\x5A\0\0\0", 6), ""},
      {agreed, R"("dA==")", Form::base64, "t", ""},
      {agreed, R"("")", Form::base64, "", ""},
      {agreed, R"("data:image/png;base64,aGVsbG8=")", Form::data_url, "hello", "image/png"},
      {agreed, R"({"a": [1]})", Form::json, R"({"a": [1]})", ""},
      {agreed, "null", Form::json, "null", ""},
      {unsaid, R"(["data:;base64,!"])", Form::json, R"(["data:;base64,!"])", ""},
  };
  for (const Case& wanted : cases) {
    for (const std::size_t piece : {1UL, 2UL, 3UL, 9UL, 1000UL}) {
      for (const std::size_t room : {1UL, 5UL, 1000UL}) {
        const auto got = archive(wanted.encoding, wanted.text, piece, room);
        ASSERT_TRUE(got) << got.error().detail << " of " << wanted.text;
        EXPECT_EQ(got->bytes, wanted.bytes) << wanted.text;
        EXPECT_EQ(got->form, wanted.form) << wanted.text;
        EXPECT_EQ(got->content_type, wanted.content_type);
      }
    }
  }
}

TEST(MessagePayload, is_refused_where_it_is_not_what_it_is_declared) {
  const std::vector<std::tuple<PayloadEncoding, std::string, std::string>> cases = {
      {PayloadEncoding::base64, "[1]", "byte 1000: messagePayload must be a string"},
      {PayloadEncoding::base64, "null", "byte 1000: messagePayload must be a string"},
      {PayloadEncoding::base64, R"("AAAA!AAA")", "byte 1005: this is no base64 character"},
      {PayloadEncoding::base64, R"("AAA")", "byte 1004: the base64 text ends"},
      {PayloadEncoding::base64, R"("AA\nAA")", "byte 1003: this is no base64 character"},
      {PayloadEncoding::unsaid, R"("data:a/b;base64,AA-A")", "byte 1019: this is no base64"},
      {PayloadEncoding::agreed_base64, R"("hello world!")", "byte 1006: this is no base64"},
      {PayloadEncoding::agreed_base64, R"("data:,hello")", "byte 1005: this is no base64"},
      {PayloadEncoding::agreed_base64, R"("dat")", "byte 1004: the base64 text ends"},
  };
  for (const auto& [encoding, text, words] : cases) {
    for (const std::size_t piece : {1UL, 4UL, 1000UL}) {
      const auto got = archive(encoding, text, piece, 64);
      ASSERT_FALSE(got) << text;
      EXPECT_TRUE(got.error().detail.starts_with(words)) << got.error().detail;
    }
  }
}

}  // namespace
}  // namespace daybook::core
