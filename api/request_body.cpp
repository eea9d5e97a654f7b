#include "api/request_body.hpp"

#include "api/problem.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

// One read of coded bytes: large enough that waking a worker for it costs nothing to speak of.
constexpr std::size_t kInputBytes = 128 * core::KiB;

core::Failure refuse(Code code, std::string detail, Retry retry = Retry::never) {
  return core::fail(code, Origin::client, retry, std::move(detail));
}

}  // namespace

std::uint64_t coded_bytes_max(std::uint64_t decoded_bytes_max) {
  return decoded_bytes_max + decoded_bytes_max / 64 + 64 * core::KiB;
}

RequestBody::RequestBody(io::HttpExchange& exchange, core::Workers& workers,
                         const core::Config& config, std::uint64_t decoded_bytes_max)
    : exchange_(exchange),
      workers_(workers),
      config_(config),
      coded_max_(coded_bytes_max(decoded_bytes_max)) {}

Result<void> RequestBody::open() {
  const auto coding = core::http::content_coding(exchange_.head().fields);
  if (!coding) return pass(coding);
  coding_ = *coding;
  if (coding_ != core::http::Coding::identity) {
    decoder_ = core::http::ContentDecoder::make(coding_);
  }
  return {};
}

void RequestBody::expect(const core::Sha256& of_content) {
  digest_.emplace(Digest{of_content, {}});
}

std::optional<std::uint64_t> RequestBody::bytes_max() const {
  const core::http::RequestHead& head = exchange_.head();
  if (decoder_ || head.framing != core::http::Framing::length) return std::nullopt;
  return head.content_length;
}

Task<Result<void>> RequestBody::arrives(std::size_t bytes) {
  return exchange_.body_arrives(bytes);
}

Task<Result<std::size_t>> RequestBody::read(core::MutableBytes into) {
  if (decoder_) return read_decoded(into);
  if (digest_) return read_hashed(into);
  return exchange_.read_body(into);
}

std::uint64_t RequestBody::memory() const {
  return input_.capacity() + (decoder_ ? decoder_->memory() : 0);
}

Task<Result<std::size_t>> RequestBody::read_hashed(core::MutableBytes into) {
  const auto bytes = co_await exchange_.read_body(into);
  if (!bytes) co_return bytes;
  if (*bytes == 0) {
    if (auto right = judge_digest(); !right) co_return pass(std::move(right));
    co_return bytes;
  }
  const core::Bytes come = into.first(*bytes);
  co_await workers_.run([&] { digest_->hasher.update(come); });
  co_return bytes;
}

Task<Result<std::size_t>> RequestBody::read_decoded(core::MutableBytes into) {
  for (;;) {
    if (rest_.empty() && !ended_ && !more_) {
      if (auto filled = co_await fill_input(); !filled) co_return pass(std::move(filled));
    }
    if (rest_.empty() && ended_ && !more_) break;
    Result<core::http::ContentDecoder::Step> step;
    co_await workers_.run([&] {
      step = decoder_->decode(rest_, into);
      if (digest_ && step) digest_->hasher.update(rest_.first(step->consumed));
    });
    if (!step) co_return pass(std::move(step));
    rest_ = rest_.subspan(step->consumed);
    more_ = step->produced == into.size();
    coded_ += step->consumed;
    decoded_ += step->produced;
    if (auto plausible = judge_ratio(); !plausible) co_return pass(std::move(plausible));
    if (step->produced > 0) co_return step->produced;
  }
  if (auto whole = decoder_->finish(); !whole) co_return pass(std::move(whole));
  if (auto right = judge_digest(); !right) co_return pass(std::move(right));
  co_return std::size_t{0};
}

Task<Result<void>> RequestBody::fill_input() {
  input_.resize(kInputBytes);
  const auto bytes = co_await exchange_.read_body(input_);
  if (!bytes) co_return pass(bytes);
  rest_ = core::Bytes(input_).first(*bytes);
  ended_ = *bytes == 0;
  if (coded_ + *bytes > coded_max_) {
    co_return refuse(Code::too_large, "The coded body has more than " +
                                          core::format_size(coded_max_) +
                                          "; nothing was stored. Split it.");
  }
  co_return Result<void>{};
}

// A first MiB of anything is taken: short bodies of repeated text are no attack.
Result<void> RequestBody::judge_ratio() const {
  if (decoded_ <= core::limits::kBlockBytes || decoded_ <= coded_ * config_.ingest_coding_ratio_max)
    return {};
  return refuse(Code::too_large,
                "The body grows more than " + std::to_string(config_.ingest_coding_ratio_max) +
                    " times when it is decoded (ingest.coding_ratio_max); nothing was stored. Send "
                    "it without Content-Encoding.");
}

Result<void> RequestBody::judge_digest() {
  if (!digest_) return {};
  const core::Sha256 actual = digest_->hasher.finish();
  const core::Sha256 expected = digest_->expected;
  digest_.reset();
  if (actual == expected) return {};
  return refuse(Code::digest_mismatch,
                "Content-Digest or Repr-Digest promised SHA-256 " + expected.hex() +
                    " but the body as sent has " + actual.hex() +
                    "; nothing was stored. Send it again.",
                Retry::safe);
}

io::HttpAnswer refused_coding(const core::Error& error) {
  io::HttpAnswer answer = problem(error);
  answer.fields.add("Accept-Encoding", std::string(core::http::kAcceptedCodings));
  return answer;
}

}  // namespace daybook::api
