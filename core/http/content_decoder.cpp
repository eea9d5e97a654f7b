#include "core/http/content_decoder.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "core/check.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::core::http {
namespace {

static_assert(std::endian::native == std::endian::little);

Failure refuse(Code code, std::string detail) {
  return fail(code, Origin::client, Retry::never, std::move(detail));
}

// where: "at byte ", or "behind byte " where the library does not say it more closely.
Failure damaged(Coding coding, std::string_view where, std::uint64_t at, std::string_view why) {
  return refuse(Code::invalid_argument,
                "The " + std::string(to_string(coding)) + " body is damaged " + std::string(where) +
                    std::to_string(at) + ": " + std::string(why) + ". Nothing was stored.");
}

Failure truncated(Coding coding, std::uint64_t at) {
  return refuse(Code::invalid_argument,
                "The " + std::string(to_string(coding)) + " body ends too early, after byte " +
                    std::to_string(at) + ". Nothing was stored; send it whole.");
}

// What zlib keeps of one stream: its window and its tables.
constexpr std::uint64_t kInflateBytes = 48 * KiB;

class GzipDecoder final : public ContentDecoder {
 public:
  GzipDecoder() {
    constexpr int kGzipOnly = 16;
    CHECK(inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK);
  }
  ~GzipDecoder() override { inflateEnd(&stream_); }
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  Result<Step> decode(Bytes input, MutableBytes output) override {
    // zlib's interface has no const; it does not write there.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(output.data());
    stream_.avail_out = static_cast<uInt>(output.size());
    for (;;) {
      if (ended_) {
        if (stream_.avail_in == 0) break;
        CHECK(inflateReset(&stream_) == Z_OK);
        ended_ = false;
      }
      const uInt had_in = stream_.avail_in;
      const uInt had_out = stream_.avail_out;
      const int outcome = inflate(&stream_, Z_NO_FLUSH);
      consumed_ += had_in - stream_.avail_in;
      if (outcome == Z_STREAM_END) {
        ended_ = true;
        continue;
      }
      if (outcome != Z_OK && outcome != Z_BUF_ERROR) {
        return damaged(Coding::gzip, "at byte ", consumed_,
                       outcome == Z_MEM_ERROR   ? "no memory"
                       : stream_.msg != nullptr ? stream_.msg
                                                : "no gzip");
      }
      if (stream_.avail_in == had_in && stream_.avail_out == had_out) break;  // nothing moves
    }
    return Step{input.size() - stream_.avail_in, output.size() - stream_.avail_out};
  }

  Result<void> finish() const override {
    if (!ended_) return truncated(Coding::gzip, consumed_);
    return {};
  }
  std::uint64_t memory() const override { return kInflateBytes; }

 private:
  z_stream stream_{};
  bool ended_ = false;  // behind a whole member
  std::uint64_t consumed_ = 0;
};

class ZstdDecoder final : public ContentDecoder {
 public:
  ZstdDecoder() : context_(ZSTD_createDCtx()) {
    CHECK(context_ != nullptr);
    constexpr int kWindowLog = std::countr_zero(limits::kCodingWindowMax);
    CHECK(!ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLog)));
  }

  Result<Step> decode(Bytes input, MutableBytes output) override {
    ZSTD_outBuffer out{output.data(), output.size(), 0};
    Step step;
    while (step.consumed < input.size() || in_frame_) {
      if (!in_frame_) {
        if (auto magic = begin_frame(input, step); !magic) return pass(std::move(magic));
        if (!in_frame_) break;  // the magic number is not whole yet
      }
      ZSTD_inBuffer in{input.data(), input.size(), step.consumed};
      if (auto fed = feed(out, in); !fed) return pass(std::move(fed));
      consumed_ += in.pos - step.consumed;
      step.consumed = in.pos;
      if (in_frame_ && (out.pos == out.size || in.pos == in.size)) break;
    }
    step.produced = out.pos;
    produced_ += out.pos;
    return step;
  }

  Result<void> finish() const override {
    if (in_frame_ || magic_bytes_ != 0 || consumed_ == 0) return truncated(Coding::zstd, consumed_);
    return {};
  }

  // The window is taken whole and becomes memory as it fills.
  std::uint64_t memory() const override {
    constexpr std::uint64_t kTables = 256 * KiB;
    return std::min<std::uint64_t>(ZSTD_sizeof_DCtx(context_.get()), produced_ + kTables);
  }

 private:
  // Frames of formats before RFC 8878 are not for the library to take: it would, and their windows
  // know no bound.
  Result<void> begin_frame(Bytes input, Step& step) {
    const std::size_t bytes = std::min(magic_.size() - magic_bytes_, input.size() - step.consumed);
    std::memcpy(magic_.data() + magic_bytes_, input.data() + step.consumed, bytes);
    magic_bytes_ += bytes;
    step.consumed += bytes;
    consumed_ += bytes;
    if (magic_bytes_ < magic_.size()) return {};
    std::uint32_t number = 0;
    std::memcpy(&number, magic_.data(), sizeof number);
    constexpr std::uint32_t kSkippable = 0x184D2A50;  // to …5F
    if (number != ZSTD_MAGICNUMBER && (number & 0xFFFFFFF0U) != kSkippable) {
      return damaged(Coding::zstd, "at byte ", consumed_ - magic_.size(),
                     "no zstd frame begins here");
    }
    ZSTD_inBuffer in{magic_.data(), magic_.size(), 0};
    ZSTD_outBuffer none{nullptr, 0, 0};
    magic_bytes_ = 0;
    in_frame_ = true;
    return feed(none, in);
  }

  Result<void> feed(ZSTD_outBuffer& out, ZSTD_inBuffer& in) {
    const std::size_t left = ZSTD_decompressStream(context_.get(), &out, &in);
    if (!ZSTD_isError(left)) {
      in_frame_ = left != 0;
      return {};
    }
    const std::uint64_t at = consumed_;
    if (ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge) {
      return refuse(Code::too_large, "The zstd frame at byte " + std::to_string(at) +
                                         " needs a window above " +
                                         format_size(limits::kCodingWindowMax) +
                                         ", which RFC 9659 forbids here; nothing was stored. "
                                         "Compress it with a smaller one.");
    }
    return damaged(Coding::zstd, "behind byte ", at, ZSTD_getErrorName(left));
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::array<std::byte, 4> magic_{};
  std::size_t magic_bytes_ = 0;  // of the next frame's magic number that have come
  bool in_frame_ = false;
  std::uint64_t consumed_ = 0;
  std::uint64_t produced_ = 0;
};

}  // namespace

std::string_view to_string(Coding coding) {
  switch (coding) {
    case Coding::gzip:
      return "gzip";
    case Coding::zstd:
      return "zstd";
    case Coding::identity:
      break;
  }
  return "identity";
}

Result<Coding> content_coding(const Fields& fields) {
  const auto unsupported = refuse(Code::unsupported,
                                  "This Content-Encoding is not taken: send the body with one of "
                                  "gzip and zstd or with none, or "
                                  "say what the bytes are with Content-Type.");
  std::optional<Coding> coding;
  for (const auto& [name, value] : fields.lines()) {
    if (!equals_ignoring_case(name, "Content-Encoding") || trim(value).empty()) continue;
    const std::string word = to_lower(trim(value));
    if (coding) return unsupported;
    if (word == "identity") {
      coding = Coding::identity;
    } else if (word == "gzip" || word == "x-gzip") {
      coding = Coding::gzip;
    } else if (word == "zstd") {
      coding = Coding::zstd;
    } else {
      return unsupported;
    }
  }
  return coding.value_or(Coding::identity);
}

std::unique_ptr<ContentDecoder> ContentDecoder::make(Coding coding) {
  CHECK(coding != Coding::identity);
  if (coding == Coding::gzip) return std::make_unique<GzipDecoder>();
  return std::make_unique<ZstdDecoder>();
}

}  // namespace daybook::core::http
