// Content codings as tables: what is taken, where an end is none, what is refused and where.
#include "core/http/content_decoder.hpp"

#include <zlib.h>
#include <zstd.h>

#include <gtest/gtest.h>

#include "core/limits.hpp"

namespace daybook::core::http {
namespace {

std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string coded(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(coded.data());
  stream.avail_out = static_cast<uInt>(coded.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  coded.resize(stream.total_out);
  deflateEnd(&stream);
  return coded;
}

// As a stream of unknown size, whose window is then the one asked for.
std::string zstd(std::string_view text, int window_log = 0) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string coded(ZSTD_compressBound(text.size()) + 64, '\0');
  ZSTD_outBuffer out{coded.data(), coded.size(), 0};
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  EXPECT_FALSE(ZSTD_isError(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush)));
  EXPECT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0U);
  ZSTD_freeCCtx(context);
  coded.resize(out.pos);
  return coded;
}

std::string coded(Coding coding, std::string_view text) {
  return coding == Coding::gzip ? gzip(text) : zstd(text);
}

// The decoded text, or what was wrong.
Result<std::string> decode(Coding coding, std::string_view input, std::size_t piece,
                           std::size_t room = 512) {
  const auto decoder = ContentDecoder::make(coding);
  std::string text;
  ByteVector output(room);
  bool full = false;
  for (Bytes rest = as_bytes(input); full || !rest.empty();) {
    const auto step = decoder->decode(rest.first(std::min(piece, rest.size())), output);
    if (!step) return pass(step);
    text += as_text(Bytes(output).first(step->produced));
    rest = rest.subspan(step->consumed);
    full = step->produced == room;
  }
  if (auto whole = decoder->finish(); !whole) return pass(whole);
  return text;
}

std::string audit_text() {
  std::string text;
  for (int i = 0; i < 500; ++i)
    text += "{\"n\":" + std::to_string(i * 7919) + ",\"user\":\"ada\"}\n";
  return text;
}

constexpr Coding kCodings[] = {Coding::gzip, Coding::zstd};

TEST(ContentDecoder, gives_back_what_was_coded_in_any_pieces) {
  for (const Coding coding : kCodings) {
    for (const std::string& text : {audit_text(), std::string("x"), std::string(100'000, 'a')}) {
      const std::string input = coded(coding, text);
      for (const std::size_t piece : {1UL, 3UL, 100UL, 1'000'000UL}) {
        const auto decoded = decode(coding, input, piece);
        ASSERT_TRUE(decoded) << decoded.error().detail;
        EXPECT_EQ(*decoded, text);
      }
    }
  }
}

TEST(ContentDecoder, takes_several_members_and_skips_what_zstd_says_to_skip) {
  for (const Coding coding : kCodings) {
    const std::string input = coded(coding, "one ") + coded(coding, "") + coded(coding, "two");
    for (const std::size_t piece : {1UL, 1000UL}) {
      EXPECT_EQ(decode(coding, input, piece).value_or("refused"), "one two");
    }
  }
  const std::string skipped("\x5E\x2A\x4D\x18\x03\0\0\0abc", 11);
  EXPECT_EQ(decode(Coding::zstd, skipped + zstd("x"), 1).value_or("refused"), "x");
}

TEST(ContentDecoder, an_end_inside_a_member_is_none) {
  for (const Coding coding : kCodings) {
    const std::string whole = coded(coding, audit_text());
    for (const std::size_t size : {0UL, 1UL, 3UL, 4UL, 5UL, whole.size() / 2, whole.size() - 1}) {
      const auto decoded = decode(coding, std::string_view(whole).substr(0, size), 7);
      ASSERT_FALSE(decoded) << size;
      EXPECT_EQ(decoded.error().code, Code::invalid_argument);
      EXPECT_EQ(decoded.error().origin, Origin::client);
      EXPECT_NE(decoded.error().detail.find("after byte " + std::to_string(size)),
                std::string::npos)
          << decoded.error().detail;
    }
  }
}

TEST(ContentDecoder, damaged_bytes_are_refused_with_their_place) {
  for (const Coding coding : kCodings) {
    const std::string whole = coded(coding, audit_text());
    std::string flipped = whole;
    flipped[flipped.size() / 2] ^= 0x10;
    std::string bad_check = whole;
    bad_check[bad_check.size() - (coding == Coding::gzip ? 8 : 1)] ^= 1;
    for (const std::string& input :
         {flipped, bad_check, whole + "junk", std::string("{\"a\":1}")}) {
      const auto decoded = decode(coding, input, 64);
      ASSERT_FALSE(decoded);
      EXPECT_EQ(decoded.error().code, Code::invalid_argument) << decoded.error().detail;
      EXPECT_NE(decoded.error().detail.find(" byte "), std::string::npos);
    }
  }
  const auto trailing = decode(Coding::zstd, zstd("x") + "junk", 1);
  ASSERT_FALSE(trailing);
  EXPECT_NE(trailing.error().detail.find("at byte " + std::to_string(zstd("x").size())),
            std::string::npos)
      << trailing.error().detail;
}

TEST(ContentDecoder, formats_before_the_standard_are_no_zstd) {
  for (const char magic : {'\x22', '\x23', '\x24', '\x25', '\x26', '\x27'}) {
    std::string old = zstd(audit_text());
    old[0] = magic;
    const auto decoded = decode(Coding::zstd, old, 1000);
    ASSERT_FALSE(decoded);
    EXPECT_NE(decoded.error().detail.find("no zstd frame begins"), std::string::npos);
  }
}

TEST(ContentDecoder, zstd_windows_end_at_8_MiB) {
  static_assert(limits::kCodingWindowMax == 1U << 23);
  EXPECT_TRUE(decode(Coding::zstd, zstd("wide", 23), 1000));
  const auto decoded = decode(Coding::zstd, zstd("wider", 24), 1000);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Code::too_large);
  EXPECT_NE(decoded.error().detail.find("8MiB"), std::string::npos) << decoded.error().detail;
}

TEST(ContentDecoder, memory_grows_with_what_is_decoded_up_to_the_window) {
  const auto decoder = ContentDecoder::make(Coding::zstd);
  const std::string input = zstd(std::string(20 * MiB, 'a'), 23);
  ByteVector output(1 * MiB);
  Bytes rest = as_bytes(input);
  std::uint64_t decoded = 0;
  do {
    const auto step = decoder->decode(rest, output);
    ASSERT_TRUE(step) << step.error().detail;
    rest = rest.subspan(step->consumed);
    decoded += step->produced;
    EXPECT_LE(decoder->memory(), std::min(decoded, limits::kCodingWindowMax) + MiB);
  } while (decoded < 20 * MiB);
  EXPECT_GE(decoder->memory(), limits::kCodingWindowMax);
}

TEST(ContentCoding, is_one_of_those_that_are_taken) {
  const auto coding_of = [](std::vector<std::string> lines) {
    Fields fields;
    for (std::string& line : lines) fields.add("content-encoding", std::move(line));
    return content_coding(fields);
  };
  EXPECT_EQ(*coding_of({}), Coding::identity);
  EXPECT_EQ(*coding_of({"identity"}), Coding::identity);
  EXPECT_EQ(*coding_of({""}), Coding::identity);
  EXPECT_EQ(*coding_of({"GZip"}), Coding::gzip);
  EXPECT_EQ(*coding_of({"x-gzip"}), Coding::gzip);
  EXPECT_EQ(*coding_of({" zstd "}), Coding::zstd);
  for (const auto& lines : std::vector<std::vector<std::string>>{{"br"},
                                                                 {"deflate"},
                                                                 {"gzip, zstd"},
                                                                 {"gzip", "gzip"},
                                                                 {"identity", "gzip"},
                                                                 {"aws-chunked"}}) {
    const auto refused = coding_of(lines);
    ASSERT_FALSE(refused) << lines.front();
    EXPECT_EQ(refused.error().code, Code::unsupported);
  }
}

}  // namespace
}  // namespace daybook::core::http
