#include "core/http/chunked.hpp"

#include <gtest/gtest.h>

namespace daybook::core::http {
namespace {

struct Decoded {
  std::string body;
  std::string rest;  // input behind the body
  bool done = false;
  bool refused = false;
};

Decoded decode(std::string_view input, std::size_t piece, std::size_t room) {
  Decoded decoded;
  ChunkedDecoder decoder;
  ByteVector output(room);
  std::size_t at = 0;
  std::size_t given = 0;  // how much of the input has arrived
  while (!decoded.done && (at < input.size())) {
    given = std::min(input.size(), given + piece);
    while (at < given && !decoded.done) {
      const auto step = decoder.decode(as_bytes(input.substr(at, given - at)), output);
      if (!step) {
        EXPECT_EQ(step.error().code, Code::invalid_argument);
        EXPECT_EQ(step.error().origin, Origin::client);
        EXPECT_FALSE(decoder.decode(as_bytes("0\r\n\r\n"), output)) << "a violation is final";
        decoded.refused = true;
        return decoded;
      }
      decoded.body += as_text(Bytes(output).first(step->produced));
      at += step->consumed;
      decoded.done = step->done;
    }
  }
  decoded.rest = input.substr(at);
  return decoded;
}

bool refused(std::string_view input) {
  return decode(input, input.size(), 64).refused;
}

TEST(ChunkedDecoder, joins_chunks_whatever_the_pieces_and_the_room) {
  const std::string_view input =
      "4\r\nWiki\r\n5;a;b=c;d=\"e \\\" f\"\r\npedia\r\n00E\r\n in \r\n\r\nchunks\r\n0;x\r\n"
      "Digest: x\r\nEmpty:\r\n\r\nGET /next";
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 1000U}) {
    for (const std::size_t room : {1U, 2U, 5U, 1000U}) {
      const Decoded decoded = decode(input, piece, room);
      EXPECT_TRUE(decoded.done);
      EXPECT_EQ(decoded.body, "Wikipedia in \r\n\r\nchunks");
      if (piece == 1000) {
        EXPECT_EQ(decoded.rest, "GET /next");
      }
    }
  }
}

TEST(ChunkedDecoder, stops_at_data_when_there_is_no_room) {
  ChunkedDecoder decoder;
  const auto step = decoder.decode(as_bytes("3\r\nabc"), {});
  ASSERT_TRUE(step);
  EXPECT_EQ(step->consumed, 3U);
  EXPECT_EQ(step->produced, 0U);
  EXPECT_FALSE(step->done);
}

TEST(ChunkedDecoder, consumes_nothing_once_done) {
  ChunkedDecoder decoder;
  ASSERT_TRUE(decoder.decode(as_bytes("0\r\n\r\n"), {})->done);
  const auto step = decoder.decode(as_bytes("1\r\na\r\n"), {});
  ASSERT_TRUE(step);
  EXPECT_TRUE(step->done);
  EXPECT_EQ(step->consumed, 0U);
}

TEST(ChunkedDecoder, decodes_in_place) {
  std::string text = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  const auto memory = std::as_writable_bytes(std::span(text.data(), text.size()));
  ChunkedDecoder decoder;
  const auto step = decoder.decode(memory, memory);
  ASSERT_TRUE(step);
  EXPECT_TRUE(step->done);
  EXPECT_EQ(text.substr(0, step->produced), "abcde");
}

TEST(ChunkedDecoder, refuses_every_other_form_of_size) {
  for (const std::string_view input :
       {"\r\n", "\n", " 1\r\n", "1 \r\n", "1\t\r\n", "+1\r\n", "-1\r\n", "0x1\r\n", "g\r\n", "1\n",
        "1\r1", "1\r\r\n", "1,\r\n", "00000000000000001\r\n", "FFFFFFFFFFFFFFFFF\r\n", ";a\r\n",
        "\xEF\xBC\x91\r\n"}) {
    EXPECT_TRUE(refused(input)) << input;
  }
  EXPECT_FALSE(refused("40000000\r\nabc"));
  for (const std::string_view huge :
       {"40000001", "100000001", "7FFFFFFFFFFFFFFF", "8000000000000000", "FFFFFFFFFFFFFFFF"}) {
    EXPECT_TRUE(refused(std::string(huge) + "\r\nabc")) << huge;
  }
  EXPECT_TRUE(decode("0000000000000000\r\n\r\n", 1, 1).done);
}

TEST(ChunkedDecoder, refuses_data_that_is_longer_or_shorter_than_its_size) {
  for (const std::string_view input :
       {"1\r\nab\r\n", "1\r\na\n", "1\r\na\r1", "3\r\na\r\n0\r\n\r\n", "1\r\n\r\n0\r\n\r\n",
        "1\r\na0\r\n"}) {
    EXPECT_TRUE(refused(input)) << input;
  }
}

TEST(ChunkedDecoder, refuses_malformed_extensions) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view input :
       {"1;\r\n"sv, "1;;a\r\n"sv, "1;=a\r\n"sv, "1;a=\r\n"sv, "1; a\r\n"sv, "1 ;a\r\n"sv,
        "1;a =b\r\n"sv, "1;a= b\r\n"sv, "1;a=b c\r\n"sv, "1;a\n"sv, "1;a=\"b\r\n"sv,
        "1;a=\"b\"c\r\n"sv, "1;a=\"b\n\"\r\n"sv, "1;a=\"\\\n\"\r\n"sv, "1;a\0\r\n"sv,
        "1;a=b=c\r\n"sv, "1;a\r;"sv}) {
    EXPECT_TRUE(refused(input)) << input;
  }
}

TEST(ChunkedDecoder, refuses_malformed_trailers) {
  for (const std::string_view input :
       {"0\r\n\n", "0\r\n\r1", "0\r\nX\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\nX : y\r\n\r\n",
        "0\r\nX: y\n\r\n", "0\r\nX: y\r\n z\r\n\r\n", "0\r\n: y\r\n\r\n", "0\r\nX: \x01\r\n\r\n",
        "0\r\nX: y\rz"}) {
    EXPECT_TRUE(refused(input)) << input;
  }
}

TEST(ChunkedDecoder, refuses_trailers_that_would_frame_or_route_the_message) {
  for (const std::string_view name :
       {"Content-Length", "transfer-ENCODING", "Host", "Connection", "Expect"}) {
    EXPECT_TRUE(refused("0\r\nX: y\r\n" + std::string(name) + ": 1\r\n\r\n")) << name;
  }
  for (const std::string_view name : {"Content-Type", "Trailer", "Host-Name", "Hos",
                                      "Transfer-Encoding-X", "X-Content-Length", "Digest"}) {
    EXPECT_TRUE(decode("0\r\n" + std::string(name) + ": 1\r\n\r\n", 1, 1).done) << name;
  }
}

TEST(ChunkedDecoder, bounds_extensions_and_trailers) {
  const std::string half(ChunkedDecoder::kOverheadBytesMax / 2, 'a');
  EXPECT_TRUE(decode("0\r\nX:" + half + "\r\n\r\n", 1000, 10).done);
  EXPECT_TRUE(refused("0\r\nX:" + half + half + "\r\n\r\n"));
  EXPECT_TRUE(refused("1;" + half + "\r\na\r\n1;" + half + "\r\na\r\n"));
  std::string many;
  for (std::size_t i = 0; i < ChunkedDecoder::kOverheadBytesMax; ++i) many += "1\r\na\r\n";
  EXPECT_TRUE(decode(many + "0\r\n\r\n", 4096, 4096).done) << "plain chunks are no overhead";
}

}  // namespace
}  // namespace daybook::core::http
