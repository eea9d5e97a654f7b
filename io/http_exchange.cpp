#include "io/http_exchange.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "core/check.hpp"
#include "core/http/chunked.hpp"
#include "core/http/head_parser.hpp"
#include "core/limits.hpp"

namespace daybook::io {
namespace {

using core::Code;
using core::Retry;
namespace http = core::http;

// RFC 9110 section 10.1.1: a client should not wait for 100 for ever. Servers that know Expect
// answer within a round trip.
constexpr auto kContinueWait = std::chrono::seconds(1);

// After a whole answer, the time the rest of the body has to leave before the connection is given
// up.
constexpr auto kLateBodyWait = std::chrono::milliseconds(100);

// No server needs more interim answers than this for one request.
constexpr int kInterimAnswersMax = 16;

// One report of progress; without somebody to report to, the body is one gathered write.
constexpr std::size_t kProgressBytes = core::limits::kReadBytes;

// Most answers are a head and little more; the buffer grows while reads fill it. Of this size the
// allocator has some at hand.
constexpr std::size_t kFirstBufferBytes = 1000;
constexpr std::size_t kBufferBytes = 64 * core::KiB;
static_assert(kBufferBytes > core::limits::kHeadBytesMax);

// A request that every socket takes at once, so that nobody need read meanwhile.
constexpr std::size_t kSmallRequestBytes = 8 * core::KiB;

// Lives in the frame of exchange(), which waits for both of its coroutines.
class Exchange {
 public:
  Exchange(IoRuntime& runtime, Stream& stream, const HttpRequest& request, const std::string& head,
           core::Origin origin, core::Deadline deadline)
      : runtime_(runtime),
        stream_(stream),
        request_(request),
        head_(head),
        origin_(origin),
        deadline_(deadline),
        changed_(runtime.make_signal()),
        buffer_(kFirstBufferBytes) {}

  // Whether the answer may wait until the request is written.
  [[nodiscard]] bool small() const {
    return !request_.expect_continue && !request_.on_sent &&
           head_.size() + core::total_bytes(request_.body) <= kSmallRequestBytes;
  }
  core::Task<bool> write();
  core::Task<core::Result<HttpResponse>> read();

  [[nodiscard]] bool answer_began() const { return answer_began_; }
  [[nodiscard]] bool reusable(const HttpResponse& response) const {
    return response.head.keep_alive && wrote_all_ && begin_ == end_ &&
           response.head.framing != http::Framing::until_close;
  }

 private:
  core::Task<core::Result<void>> write_body();
  core::Task<> let_writer_finish(bool keep_alive);
  core::Task<core::Result<HttpResponse>> read_answer();
  core::Task<core::Result<http::ResponseHead>> read_head();
  core::Task<core::Result<core::ByteVector>> read_body(http::ResponseHead head);
  core::Task<core::Result<core::ByteVector>> read_length(std::uint64_t length);
  core::Task<core::Result<core::ByteVector>> read_chunked();
  core::Task<core::Result<core::ByteVector>> read_until_close();
  core::Task<core::Result<void>> fill();

  [[nodiscard]] core::Bytes buffered() const {
    return core::Bytes(buffer_).subspan(begin_, end_ - begin_);
  }
  [[nodiscard]] core::Failure broken(const core::Error& error, std::string_view when) const {
    const Retry retry = Retry::unknown_outcome;
    if (error.code == Code::timeout) {
      return core::fail(Code::timeout, origin_, retry, "the deadline passed " + std::string(when));
    }
    return core::fail(error.code, origin_, retry,
                      "the connection broke " + std::string(when) + " (" + error.detail + ")");
  }
  [[nodiscard]] core::Failure no_http(const std::string& why) const {
    return core::fail(Code::invalid_argument, origin_, Retry::unknown_outcome,
                      "the answer is not valid HTTP: " + why);
  }
  [[nodiscard]] core::Failure too_large() const {
    return core::fail(Code::too_large, origin_, Retry::unknown_outcome,
                      "the answer is larger than the " +
                          std::to_string(request_.response_bytes_max) + " bytes expected at most");
  }

  IoRuntime& runtime_;
  Stream& stream_;
  const HttpRequest& request_;
  const std::string& head_;
  core::Origin origin_;
  core::Deadline deadline_;

  std::unique_ptr<core::Signal> changed_;  // of the five flags
  bool may_continue_ = false;              // 100 came
  bool head_came_ = false;                 // the final answer's head came
  bool read_ended_ = false;
  bool write_ended_ = false;
  bool wrote_all_ = false;

  bool answer_began_ = false;
  core::ByteVector buffer_;  // received, not yet used: [begin_, end_)
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool full_ = false;  // the last read filled it
};

core::Task<bool> Exchange::write() {
  core::Slices first{core::as_bytes(head_)};
  const bool waits = request_.expect_continue && core::total_bytes(request_.body) > 0;
  const bool together = !waits && !request_.on_sent;
  if (together) first.insert(first.end(), request_.body.begin(), request_.body.end());
  auto sent = co_await stream_.write_all(first, deadline_);
  if (sent && waits) {
    const core::Deadline patience = std::min(deadline_, runtime_.steady_now() + kContinueWait);
    while (!may_continue_ && !head_came_ && !read_ended_ && runtime_.steady_now() < patience) {
      co_await changed_->wait(patience);
    }
  }
  const bool refused = waits && (head_came_ || read_ended_);
  if (sent && !together && !refused) sent = co_await write_body();
  wrote_all_ = sent.has_value() && !refused;
  write_ended_ = true;
  changed_->notify_all();
  co_return wrote_all_;
}

core::Task<core::Result<void>> Exchange::write_body() {
  if (!request_.on_sent) co_return co_await stream_.write_all(request_.body, deadline_);
  std::uint64_t total = 0;
  for (core::Bytes slice : request_.body) {
    while (!slice.empty()) {
      const core::Bytes piece = slice.first(std::min(slice.size(), kProgressBytes));
      slice = slice.subspan(piece.size());
      auto sent = co_await stream_.write_all({piece}, deadline_);
      if (!sent) co_return pass(sent);
      total += piece.size();
      request_.on_sent(total);
    }
  }
  co_return core::Result<void>{};
}

core::Task<core::Result<HttpResponse>> Exchange::read() {
  auto response = co_await read_answer();
  read_ended_ = true;
  changed_->notify_all();
  co_await let_writer_finish(response && response->head.keep_alive);
  co_return response;
}

// A server may answer before it has taken the whole body. Most then read on for a moment; one that
// does not would hold the writer until the deadline.
core::Task<> Exchange::let_writer_finish(bool keep_alive) {
  if (keep_alive) {
    const core::Deadline patience = std::min(deadline_, runtime_.steady_now() + kLateBodyWait);
    while (!write_ended_ && runtime_.steady_now() < patience) co_await changed_->wait(patience);
  }
  if (!write_ended_) stream_.close();
}

core::Task<core::Result<HttpResponse>> Exchange::read_answer() {
  auto head = co_await read_head();
  if (!head) co_return pass(std::move(head));
  head_came_ = true;
  changed_->notify_all();
  auto body = co_await read_body(*head);
  if (!body) co_return pass(std::move(body));
  co_return HttpResponse{std::move(*head), std::move(*body)};
}

core::Task<core::Result<http::ResponseHead>> Exchange::read_head() {
  int interim_answers = 0;
  for (;;) {
    auto parsed = http::parse_response_head(buffered(), request_.method);
    if (const auto* refused = std::get_if<http::Refused>(&parsed)) {
      co_return no_http(refused->detail);
    }
    if (auto* found = std::get_if<http::Parsed<http::ResponseHead>>(&parsed)) {
      begin_ += found->consumed;
      const int status = found->head.status;
      if (status >= 200) co_return std::move(found->head);
      if (status == 101 || ++interim_answers > kInterimAnswersMax) {
        co_return no_http("an interim answer " + std::to_string(status) +
                          " that was not asked for");
      }
      if (status == 100) {
        may_continue_ = true;
        changed_->notify_all();
      }
      continue;
    }
    auto more = co_await fill();
    if (!more) {
      co_return broken(more.error(),
                       answer_began_ ? "inside the answer's head" : "before the answer");
    }
  }
}

core::Task<core::Result<core::ByteVector>> Exchange::read_body(http::ResponseHead head) {
  switch (head.framing) {
    case http::Framing::none:
      co_return core::ByteVector{};
    case http::Framing::length:
      co_return co_await read_length(head.content_length);
    case http::Framing::chunked:
      co_return co_await read_chunked();
    case http::Framing::until_close:
      co_return co_await read_until_close();
  }
  CHECK(false);
}

core::Task<core::Result<core::ByteVector>> Exchange::read_length(std::uint64_t length) {
  if (length > request_.response_bytes_max) co_return too_large();
  core::ByteVector body(length);
  const core::Bytes early = buffered().first(std::min<std::uint64_t>(buffered().size(), length));
  std::ranges::copy(early, body.begin());
  begin_ += early.size();
  std::size_t at = early.size();
  while (at < body.size()) {
    const core::MutableBytes room = core::MutableBytes(body).subspan(at);
    auto read = co_await stream_.read_some(
        room.first(std::min(room.size(), core::limits::kReadBytes)), deadline_);
    if (!read) co_return broken(read.error(), "inside the answer's body");
    at += *read;
  }
  co_return body;
}

core::Task<core::Result<core::ByteVector>> Exchange::read_chunked() {
  core::ByteVector body;
  http::ChunkedDecoder decoder;
  core::ByteVector decoded(kBufferBytes);
  for (;;) {
    const auto step = decoder.decode(buffered(), decoded);
    if (!step) co_return no_http(step.error().detail);
    begin_ += step->consumed;
    if (body.size() + step->produced > request_.response_bytes_max) co_return too_large();
    body.insert(body.end(), decoded.begin(),
                decoded.begin() + static_cast<std::ptrdiff_t>(step->produced));
    if (step->done) co_return body;
    if (begin_ != end_) continue;
    auto more = co_await fill();
    if (!more) co_return broken(more.error(), "inside the answer's body");
  }
}

core::Task<core::Result<core::ByteVector>> Exchange::read_until_close() {
  core::ByteVector body;
  for (;;) {
    const core::Bytes part = buffered();
    if (body.size() + part.size() > request_.response_bytes_max) co_return too_large();
    body.insert(body.end(), part.begin(), part.end());
    begin_ = end_;
    auto more = co_await fill();
    if (more) continue;
    const bool orderly = more.error().code == Code::closed && more.error().retry == Retry::never;
    if (!orderly) co_return broken(more.error(), "inside the answer's body");
    co_return body;
  }
}

core::Task<core::Result<void>> Exchange::fill() {
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (full_) buffer_.resize(std::min(2 * buffer_.size(), kBufferBytes));
  CHECK(end_ < buffer_.size());  // a head is bounded below it, bodies are taken out at once
  auto read = co_await stream_.read_some(core::MutableBytes(buffer_).subspan(end_), deadline_);
  if (!read) co_return pass(read);
  answer_began_ = true;
  end_ += *read;
  full_ = end_ == buffer_.size();
  co_return core::Result<void>{};
}

}  // namespace

core::Task<ExchangeOutcome> exchange(IoRuntime& runtime, Stream& stream, const HttpRequest& request,
                                     const std::string& head, core::Origin origin,
                                     core::Deadline deadline) {
  using boost::asio::experimental::awaitable_operators::operator&&;
  Exchange one(runtime, stream, request, head, origin, deadline);
  core::Result<HttpResponse> response;
  bool wrote = false;
  if (one.small()) {
    wrote = co_await one.write();
    response = co_await one.read();
  } else {
    std::tie(response, wrote) = co_await (one.read() && one.write());
  }
  const bool reusable = response && wrote && one.reusable(*response);
  co_return ExchangeOutcome{std::move(response), one.answer_began(), reusable};
}

}  // namespace daybook::io
