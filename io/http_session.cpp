#include "io/http_session.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "core/check.hpp"
#include "core/http/head_parser.hpp"
#include "core/limits.hpp"

namespace daybook::io {
namespace {

namespace http = core::http;
using core::Bytes;
using core::Code;
using core::Error;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr auto kLingerTime = std::chrono::seconds(10);
constexpr auto kTurnedAwayLingerTime = std::chrono::seconds(1);

// A head and the beginning of what follows it; also a piece of a chunked body.
constexpr std::size_t kInputBytesMax = core::limits::kHeadBytesMax + 4 * core::KiB;

// RFC 9110 section 5.6.7; made anew once a second.
const std::string& http_date(core::WallTime now) {
  thread_local std::time_t made_for = 0;
  thread_local std::string text;
  const std::time_t second = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
  if (second != made_for) {
    made_for = second;
    std::tm parts{};
    gmtime_r(&second, &parts);
    std::array<char, 40> buffer{};
    text.assign(buffer.data(),
                std::strftime(buffer.data(), buffer.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  return text;
}

// Without body_bytes the answer's fields or the connection's end tell where the body ends.
std::string head_of(const HttpAnswer& answer, std::optional<std::uint64_t> body_bytes,
                    core::WallTime now, std::string_view connection) {
  std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                     std::string(http::reason_phrase(answer.status)) + "\r\n";
  for (const auto& [name, value] : answer.fields.lines()) {
    text += name;
    text += ": ";
    text += value;
    text += "\r\n";
  }
  if (body_bytes && answer.status != 204 && answer.status != 304) {
    text += "Content-Length: " + std::to_string(*body_bytes) + "\r\n";
  }
  text += "Date: " + http_date(now) + "\r\n";
  if (!connection.empty()) {
    text += "Connection: ";
    text += connection;
    text += "\r\n";
  }
  return text + "\r\n";
}

core::Failure body_failure(const Error& error) {
  if (error.code == Code::timeout) {
    return core::fail(Code::timeout, Origin::client, Retry::safe,
                      "The body stopped arriving, or came too slowly; nothing was stored. Send the "
                      "request again.");
  }
  return core::fail(Code::closed, Origin::client, Retry::safe,
                    "The connection ended before the body was complete; nothing was stored.");
}

}  // namespace

HttpServer::Session::Session(HttpServer& server, std::unique_ptr<Stream> stream)
    : server_(server),
      stream_(std::move(stream)),
      address_(server.addresses_.try_emplace(stream_->peer()).first),
      place_(server.sessions_.insert(server.sessions_.end(), this)),
      linger_time_(kLingerTime) {
  ++address_->second.connections;
}

HttpServer::Session::~Session() {
  wait_no_more();
  server_.head_bytes_ -= charged_;
  if (leaving_) {
    --server_.leaving_;
    --address_->second.leaving;
  }
  server_.sessions_.erase(place_);
  if (--address_->second.connections == 0) server_.addresses_.erase(address_);
  server_.session_ended_->notify_all();
}

Task<> HttpServer::Session::run() {
  for (bool first = true; !server_.closing_ || !input_.empty(); first = false) {
    if (!co_await read_head(first)) break;
    co_await server_.handler_(*this);
    CHECK(answered_);
    // The answer ended short: only a closed connection can say so.
    if (answer_left_ != 0 || streaming_) break;
    if (must_close_) {
      co_await linger();
      break;
    }
  }
  stream_->close();
}

Task<> HttpServer::Session::turn_away() {
  reset_request();
  linger_time_ = kTurnedAwayLingerTime;
  co_await refuse(429,
                  "This address has as many connections as it may have "
                  "(server.connections_per_address_max); use fewer and keep them.");
  stream_->close();
}

void HttpServer::Session::wait_as(WaitingLine<Session>::Kind kind) {
  const auto now = server_.runtime_.steady_now();
  server_.line_.enter(in_server_, kind, now);
  address_->second.line.enter(in_address_, kind, now);
}

void HttpServer::Session::wait_no_more() {
  in_server_.leave();
  in_address_.leave();
}

void HttpServer::Session::end_waiting() {
  CHECK(!leaving_);
  leaving_ = true;
  ++server_.leaving_;
  ++address_->second.leaving;
  wait_no_more();
  server_.head_bytes_ -= std::exchange(charged_, 0);
  if (!owes_408_) return stream_->hang_up();
  const HttpAnswer answer = server_.refusal_(
      408,
      "The request did not arrive in time for a server that has no room left; send it whole, at "
      "once.");
  const std::string text =
      head_of(answer, answer.body.size(), server_.runtime_.now(), "close") + answer.body;
  stream_->hang_up(core::as_bytes(text));
}

void HttpServer::Session::close_if_idle() {
  if (idle_ || (streaming_ && sending_)) stream_->hang_up();
}

Task<Result<void>> HttpServer::Session::body_arrives(std::size_t bytes) {
  if (body_done_ || head_.expects_continue) co_return Result<void>{};
  body_began_ = server_.runtime_.steady_now();
  wait_as(WaitingLine<Session>::Kind::owing);
  owes_408_ = true;
  auto waited = head_.framing == http::Framing::chunked ? co_await chunks_arrive(bytes)
                                                        : co_await counted_arrives(bytes);
  owes_408_ = false;
  wait_no_more();
  body_began_.reset();  // how long the handler now takes until it reads is not the client's doing
  if (waited && !leaving_) co_return waited;
  must_close_ = true;
  if (waited) co_return body_failure({Code::closed, Origin::client, Retry::safe, {}});
  co_return body_failure(waited.error());
}

// The kernel keeps them, and wakes us when they are enough.
Task<Result<void>> HttpServer::Session::counted_arrives(std::size_t bytes) {
  const std::size_t want = std::min<std::uint64_t>(bytes, body_left_);
  if (input_.size() >= want) co_return Result<void>{};
  const std::size_t missing = want - input_.size();
  std::size_t there = stream_->bytes_waiting();
  for (;;) {
    auto waited = co_await stream_->wait_for_bytes(missing, body_deadline());
    if (waited || leaving_ || waited.error().code != Code::timeout) co_return waited;
    // Silence, or bytes that were too few to be told of? The latter may go on, fast enough.
    const std::size_t before = std::exchange(there, stream_->bytes_waiting());
    if (there <= before || body_deadline() <= server_.runtime_.steady_now()) co_return waited;
  }
}

// Only who reads them sees whether the last chunk is among them. What is kept is charged as a head.
Task<Result<void>> HttpServer::Session::chunks_arrive(std::size_t bytes) {
  http::ChunkedDecoder probe = decoder_;
  std::size_t seen = 0;
  while (input_.size() < bytes) {
    while (seen < input_.size()) {
      const auto step = probe.decode(Bytes(input_).subspan(seen), server_.dropped_);
      if (!step || step->done) co_return Result<void>{};  // the reader will find the same
      seen += step->consumed;
    }
    const std::size_t had = input_.size();
    if (!reserve_input(roomier(had)) && had == input_.capacity()) break;
    auto got = co_await fill_input(input_.capacity() - had, body_deadline());
    if (!got || leaving_) co_return got;
    body_received_ += input_.size() - had;
  }
  co_return Result<void>{};
}

// The capacity to have before more is read behind so many bytes.
std::size_t HttpServer::Session::roomier(std::size_t had) {
  return had < kInputBytes ? kInputBytes : std::min(2 * had, kInputBytesMax);
}

Task<Result<std::size_t>> HttpServer::Session::read_body(core::MutableBytes into) {
  if (body_done_) co_return std::size_t{0};
  if (!body_began_) body_began_ = server_.runtime_.steady_now();
  if (head_.expects_continue && !continue_sent_) {
    continue_sent_ = true;
    auto sent = co_await stream_->write_all({core::as_bytes(kContinue)}, write_deadline());
    if (!sent) co_return pass(std::move(sent));
  }
  auto bytes = head_.framing == http::Framing::chunked ? co_await read_chunked(into)
                                                       : co_await read_counted(into);
  if (!bytes) must_close_ = true;
  co_return bytes;
}

Task<Result<void>> HttpServer::Session::respond(HttpAnswer answer) {
  const std::uint64_t size = answer.body.size();
  const std::string head_text = answer_head(answer, size);
  core::Slices slices{core::as_bytes(head_text)};
  if (head_.method != "HEAD") slices.push_back(core::as_bytes(answer.body));
  co_return co_await send(std::move(slices));
}

Task<Result<void>> HttpServer::Session::begin(HttpAnswer answer, std::uint64_t body_bytes) {
  const std::string head_text = answer_head(answer, body_bytes);
  answer_left_ = head_.method == "HEAD" ? 0 : body_bytes;
  co_return co_await send({core::as_bytes(head_text)});
}

// Chunks where the client knows them (RFC 9112 section 7.1), else up to the connection's end.
Task<Result<void>> HttpServer::Session::begin_stream(HttpAnswer answer) {
  if (head_.minor_version == 0) {
    must_close_ = true;
  } else {
    answer.fields.add("Transfer-Encoding", "chunked");
  }
  const std::string head_text = answer_head(answer, std::nullopt);
  streaming_ = head_.method != "HEAD";
  co_return co_await send({core::as_bytes(head_text)});
}

Task<Result<void>> HttpServer::Session::end() {
  const bool owed = std::exchange(streaming_, false) && head_.minor_version != 0;
  if (!owed) co_return Result<void>{};
  co_return co_await send({core::as_bytes("0\r\n\r\n")});
}

Task<Result<void>> HttpServer::Session::write(core::Slices slices) {
  const std::uint64_t bytes = core::total_bytes(slices);
  if (streaming_) {
    if (bytes == 0) co_return Result<void>{};
    if (head_.minor_version == 0) co_return co_await send(std::move(slices));
    std::array<char, 24> size{};
    std::snprintf(size.data(), size.size(), "%llx\r\n", static_cast<unsigned long long>(bytes));
    slices.insert(slices.begin(), core::as_bytes(size.data()));
    slices.push_back(core::as_bytes("\r\n"));
    co_return co_await send(std::move(slices));
  }
  CHECK(bytes <= answer_left_);
  auto sent = co_await send(std::move(slices));
  if (sent) answer_left_ -= bytes;
  co_return sent;
}

// Reads until a whole head is there. False: the connection is over (a refusal was answered).
Task<bool> HttpServer::Session::read_head(bool first) {
  using Kind = WaitingLine<Session>::Kind;
  reset_request();
  wait_as(first || !input_.empty() ? Kind::owing : Kind::idle);
  const auto idle_end = server_.runtime_.steady_now() +
                        (first ? server_.settings_.header_timeout : server_.settings_.idle_timeout);
  std::optional<core::Deadline> header_end;
  for (;;) {
    if (!input_.empty()) {
      if (!header_end) {
        header_end = server_.runtime_.steady_now() + server_.settings_.header_timeout;
        if (!first) wait_as(Kind::owing);
      }
      auto outcome = http::parse_request_head(input_);
      if (auto* parsed = std::get_if<http::Parsed<http::RequestHead>>(&outcome)) {
        wait_no_more();
        owes_408_ = false;
        input_.erase(input_.begin(),
                     input_.begin() + static_cast<std::ptrdiff_t>(parsed->consumed));
        if (begin_request(std::move(parsed->head), parsed->consumed)) co_return true;
        co_await refuse(503, "Too many long header sections are being served; try again soon.");
        co_return false;
      }
      if (auto* refused = std::get_if<http::Refused>(&outcome)) {
        co_await refuse(refused->status, std::move(refused->detail));
        co_return false;
      }
      owes_408_ = true;
    }
    idle_ = input_.empty();
    if (idle_ && server_.closing_) co_return false;
    const std::size_t had = input_.size();
    if (!reserve_input(roomier(had)) && had == input_.capacity()) {
      co_await refuse(503, "Too many long header sections are arriving; try again soon.");
      co_return false;
    }
    const auto bytes = co_await fill_input(input_.capacity() - had, header_end.value_or(idle_end));
    idle_ = false;
    if (leaving_) co_return false;
    if (!bytes) {
      if (bytes.error().code == Code::timeout && !input_.empty()) {
        co_await refuse(408, "The header section did not arrive in time; send it whole at once.");
      }
      co_return false;
    }
  }
}

Task<Result<void>> HttpServer::Session::fill_input(std::size_t room, core::Deadline deadline) {
  const std::size_t had = input_.size();
  input_.resize(had + room);
  const auto bytes = co_await stream_->read_some(core::MutableBytes(input_).subspan(had), deadline);
  input_.resize(had + (bytes ? *bytes : 0));
  if (!bytes) co_return pass(bytes);
  co_return Result<void>{};
}

// Room for so many bytes; false where the server's memory for heads has none left.
bool HttpServer::Session::reserve_input(std::size_t bytes) {
  if (bytes <= input_.capacity()) return true;
  if (bytes > kInputBytes) {
    const std::size_t more = bytes - std::max(input_.capacity(), kInputBytes);
    if (!server_.take_head_memory(*this, more)) return false;
    charged_ += more;
  }
  input_.reserve(bytes);
  return true;
}

// What the last request took beyond a small head goes back.
void HttpServer::Session::reset_request() {
  http::RequestHead last;
  std::swap(head_, last);
  if (input_.capacity() > kInputBytes && input_.size() <= kInputBytes) {
    std::vector<std::byte> small;
    small.reserve(kInputBytes);
    small.assign(input_.begin(), input_.end());
    input_ = std::move(small);
  }
  const std::size_t kept = std::max(input_.capacity(), kInputBytes) - kInputBytes;
  server_.head_bytes_ -= charged_ - kept;
  charged_ = kept;
  answered_ = false;
  answer_left_ = 0;
  streaming_ = false;
  must_close_ = false;
  continue_sent_ = false;
  body_done_ = true;
  body_began_.reset();
  body_received_ = 0;
}

// False: there is no memory to keep the head; it is set all the same, for the refusal.
bool HttpServer::Session::begin_request(http::RequestHead head, std::size_t head_bytes) {
  head_ = std::move(head);
  body_left_ = head_.content_length;
  decoder_ = {};
  body_done_ = head_.framing == http::Framing::none ||
               (head_.framing == http::Framing::length && body_left_ == 0);
  body_end_ = server_.runtime_.steady_now() + server_.settings_.body_timeout;
  // HTTP/1.0 clients do not know 100 (RFC 9110 section 10.1.1).
  if (head_.minor_version == 0) continue_sent_ = true;
  const std::size_t parsed_bytes = 2 * head_bytes;  // its texts, and what manages them
  if (!server_.take_head_memory(*this, parsed_bytes)) return false;
  charged_ += parsed_bytes;
  return true;
}

Task<> HttpServer::Session::refuse(int status, std::string detail) {
  wait_no_more();
  owes_408_ = false;
  must_close_ = true;
  body_done_ = false;  // whatever follows the broken head is read and dropped
  const auto sent = co_await respond(server_.refusal_(status, detail));
  if (sent) co_await linger();
}

Task<Result<std::size_t>> HttpServer::Session::read_counted(core::MutableBytes into) {
  const std::size_t want =
      std::min<std::uint64_t>({into.size(), body_left_, core::limits::kReadBytes});
  std::size_t bytes = take_input(into.first(want));
  if (bytes == 0) {
    auto got = co_await stream_->read_some(into.first(want), body_deadline());
    if (!got) co_return body_failure(got.error());
    bytes = *got;
  }
  body_left_ -= bytes;
  body_received_ += bytes;
  body_done_ = body_left_ == 0;
  co_return bytes;
}

Task<Result<std::size_t>> HttpServer::Session::read_chunked(core::MutableBytes into) {
  for (;;) {
    if (input_.empty()) {
      reserve_input(kInputBytesMax);  // without it in smaller pieces
      const auto got = co_await fill_input(input_.capacity(), body_deadline());
      if (!got) co_return body_failure(got.error());
      body_received_ += input_.size();
    }
    const auto step = decoder_.decode(input_, into);
    if (!step) co_return pass(step);
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(step->consumed));
    body_done_ = step->done;
    if (step->produced > 0 || step->done) co_return step->produced;
  }
}

std::size_t HttpServer::Session::take_input(core::MutableBytes into) {
  const std::size_t bytes = std::min(into.size(), input_.size());
  if (bytes == 0) return 0;
  std::memcpy(into.data(), input_.data(), bytes);
  input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(bytes));
  return bytes;
}

core::Deadline HttpServer::Session::body_deadline() const {
  const HttpServerSettings& settings = server_.settings_;
  auto end = std::min(body_end_, server_.runtime_.steady_now() + settings.body_idle_timeout);
  if (settings.body_rate_min != 0) {
    // Until then what has come is enough for the least rate.
    const std::chrono::milliseconds earned(body_received_ * 1000 / settings.body_rate_min);
    end = std::min(end, *body_began_ + std::max<core::Duration>(settings.body_rate_grace, earned));
  }
  return end;
}

core::Deadline HttpServer::Session::write_deadline() const {
  return server_.runtime_.steady_now() + server_.settings_.write_timeout;
}

std::string HttpServer::Session::answer_head(const HttpAnswer& answer,
                                             std::optional<std::uint64_t> body_bytes) {
  CHECK(!answered_);
  answered_ = true;
  if (!body_done_ || !head_.keep_alive || server_.closing_) must_close_ = true;
  return head_of(answer, body_bytes, server_.runtime_.now(),
                 must_close_                ? "close"
                 : head_.minor_version == 0 ? "keep-alive"
                                            : "");
}

Task<Result<void>> HttpServer::Session::send(core::Slices slices) {
  if (leaving_) {  // the client has been told already
    must_close_ = true;
    co_return core::fail(Code::closed, Origin::client, Retry::safe, "the connection was ended");
  }
  sending_ = true;
  auto sent = co_await stream_->write_all(std::move(slices), write_deadline());
  sending_ = false;
  if (!sent) must_close_ = true;
  co_return sent;
}

// Reads on for a bounded while after the answer, so that a client which is still sending gets to
// read the answer instead of a reset (RFC 9112 section 9.6). All share the memory for what nobody
// reads.
Task<> HttpServer::Session::linger() {
  if (leaving_) co_return;
  wait_as(WaitingLine<Session>::Kind::owing);
  stream_->shutdown_write();
  const auto deadline = server_.runtime_.steady_now() + linger_time_;
  std::uint64_t total = 0;
  while (total < core::limits::kLingerBytesMax) {
    const auto bytes = co_await stream_->read_some(server_.dropped_, deadline);
    if (!bytes) break;
    total += *bytes;
  }
  wait_no_more();
}

}  // namespace daybook::io
