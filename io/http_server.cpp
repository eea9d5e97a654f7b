#include "io/http_server.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "core/check.hpp"
#include "core/http/chunked.hpp"
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

// A client that has sent no whole head for this long makes room for others where there is none. An
// honest one sends its head at once.
constexpr auto kWaitingGrace = std::chrono::seconds(1);

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

}  // namespace

// One connection: the loop over its requests. It is also the exchange of the request being served.
class HttpServer::Session final : public HttpExchange {
 public:
  Session(HttpServer& server, std::unique_ptr<Stream> stream)
      : server_(server),
        stream_(std::move(stream)),
        peer_(stream_->peer()),
        place_(server.sessions_.insert(server.sessions_.end(), this)) {
    ++server_.per_address_[peer_];
  }
  ~Session() override {
    server_.sessions_.erase(place_);
    const auto count = server_.per_address_.find(peer_);
    if (--count->second == 0) server_.per_address_.erase(count);
    server_.session_ended_->notify_all();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Task<> run() {
    for (bool first = true; !server_.closing_ || !input_.empty(); first = false) {
      if (!co_await read_head(first)) break;
      co_await server_.handler_(*this);
      CHECK(answered_);
      if (answer_left_ != 0) break;  // the answer ended short: only a closed connection can say so
      if (must_close_) {
        co_await linger();
        break;
      }
    }
    stream_->close();
  }

  // Answers, without a word being read, that there is no room for this client.
  Task<> turn_away() {
    reset_request();
    linger_time_ = kTurnedAwayLingerTime;
    co_await refuse(429,
                    "This address has as many connections as it may have "
                    "(server.connections_per_address_max); use fewer and keep them.");
    stream_->close();
  }

  // Since when the client has been owing a whole head; nullopt while a request is being served.
  [[nodiscard]] std::optional<core::SteadyTime> waiting_since() const { return waiting_since_; }
  void end_waiting() {
    waiting_since_.reset();
    stream_->hang_up();
  }

  // Between requests nothing is lost by leaving.
  void close_if_idle() {
    if (idle_) stream_->hang_up();
  }

  [[nodiscard]] const http::RequestHead& head() const override { return head_; }
  [[nodiscard]] const std::string& peer() const override { return peer_; }

  Task<Result<std::size_t>> read_body(core::MutableBytes into) override {
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

  Task<Result<void>> respond(HttpAnswer answer) override {
    const std::uint64_t size = answer.body.size();
    const std::string head_text = answer_head(answer, size);
    core::Slices slices{core::as_bytes(head_text)};
    if (head_.method != "HEAD") slices.push_back(core::as_bytes(answer.body));
    co_return co_await send(std::move(slices));
  }

  Task<Result<void>> begin(HttpAnswer answer, std::uint64_t body_bytes) override {
    const std::string head_text = answer_head(answer, body_bytes);
    answer_left_ = head_.method == "HEAD" ? 0 : body_bytes;
    co_return co_await send({core::as_bytes(head_text)});
  }

  Task<Result<void>> write(core::Slices slices) override {
    const std::uint64_t bytes = core::total_bytes(slices);
    CHECK(bytes <= answer_left_);
    auto sent = co_await send(std::move(slices));
    if (sent) answer_left_ -= bytes;
    co_return sent;
  }

 private:
  // Reads until a whole head is there. False: the connection is over (a refusal was answered).
  Task<bool> read_head(bool first) {
    reset_request();
    const auto now = server_.runtime_.steady_now();
    waiting_since_ = now;
    const auto idle_end =
        now + (first ? server_.settings_.header_timeout : server_.settings_.idle_timeout);
    std::optional<core::Deadline> header_end;
    for (;;) {
      if (!input_.empty()) {
        if (!header_end) {
          header_end = server_.runtime_.steady_now() + server_.settings_.header_timeout;
        }
        auto outcome = http::parse_request_head(input_);
        if (auto* parsed = std::get_if<http::Parsed<http::RequestHead>>(&outcome)) {
          input_.erase(input_.begin(),
                       input_.begin() + static_cast<std::ptrdiff_t>(parsed->consumed));
          begin_request(std::move(parsed->head));
          waiting_since_.reset();
          co_return true;
        }
        if (auto* refused = std::get_if<http::Refused>(&outcome)) {
          waiting_since_.reset();
          co_await refuse(refused->status, refused->detail);
          co_return false;
        }
      }
      idle_ = input_.empty();
      if (idle_ && server_.closing_) co_return false;
      const auto bytes = co_await fill_input(header_end.value_or(idle_end));
      idle_ = false;
      if (!bytes) {
        waiting_since_.reset();
        if (bytes.error().code == Code::timeout && !input_.empty()) {
          co_await refuse(408, "The header section did not arrive in time; send it whole at once.");
        }
        co_return false;
      }
    }
  }

  Task<Result<void>> fill_input(core::Deadline deadline) {
    const std::size_t had = input_.size();
    const std::size_t room = core::limits::kHeadBytesMax + 4 * core::KiB - had;
    input_.resize(had + room);
    const auto bytes =
        co_await stream_->read_some(core::MutableBytes(input_).subspan(had), deadline);
    input_.resize(had + (bytes ? *bytes : 0));
    if (!bytes) co_return pass(bytes);
    co_return Result<void>{};
  }

  void reset_request() {
    head_ = {};
    answered_ = false;
    answer_left_ = 0;
    must_close_ = false;
    continue_sent_ = false;
    body_done_ = true;
    body_began_.reset();
    body_received_ = 0;
  }

  void begin_request(http::RequestHead head) {
    head_ = std::move(head);
    body_left_ = head_.content_length;
    decoder_ = {};
    body_done_ = head_.framing == http::Framing::none ||
                 (head_.framing == http::Framing::length && body_left_ == 0);
    body_end_ = server_.runtime_.steady_now() + server_.settings_.body_timeout;
    // HTTP/1.0 clients do not know 100 (RFC 9110 section 10.1.1).
    if (head_.minor_version == 0) continue_sent_ = true;
  }

  Task<> refuse(int status, const std::string& detail) {
    must_close_ = true;
    body_done_ = false;  // whatever follows the broken head is read and dropped
    const auto sent = co_await respond(server_.refusal_(status, detail));
    if (sent) co_await linger();
  }

  Task<Result<std::size_t>> read_counted(core::MutableBytes into) {
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

  Task<Result<std::size_t>> read_chunked(core::MutableBytes into) {
    for (;;) {
      if (input_.empty()) {
        const auto got = co_await fill_input(body_deadline());
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

  std::size_t take_input(core::MutableBytes into) {
    const std::size_t bytes = std::min(into.size(), input_.size());
    if (bytes == 0) return 0;
    std::memcpy(into.data(), input_.data(), bytes);
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(bytes));
    return bytes;
  }

  [[nodiscard]] core::Deadline body_deadline() const {
    const HttpServerSettings& settings = server_.settings_;
    auto end = std::min(body_end_, server_.runtime_.steady_now() + settings.body_idle_timeout);
    if (settings.body_rate_min != 0) {
      // Until then what has come is enough for the least rate.
      const std::chrono::milliseconds earned(body_received_ * 1000 / settings.body_rate_min);
      end =
          std::min(end, *body_began_ + std::max<core::Duration>(settings.body_rate_grace, earned));
    }
    return end;
  }
  [[nodiscard]] core::Deadline write_deadline() const {
    return server_.runtime_.steady_now() + server_.settings_.write_timeout;
  }

  static core::Failure body_failure(const Error& error) {
    if (error.code == Code::timeout) {
      return core::fail(
          Code::timeout, Origin::client, Retry::safe,
          "The body stopped arriving, or came too slowly; nothing was stored. Send the "
          "request again.");
    }
    return core::fail(Code::closed, Origin::client, Retry::safe,
                      "The connection ended before the body was complete; nothing was stored.");
  }

  std::string answer_head(const HttpAnswer& answer, std::uint64_t body_bytes) {
    CHECK(!answered_);
    answered_ = true;
    if (!body_done_ || !head_.keep_alive || server_.closing_) must_close_ = true;
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                       std::string(http::reason_phrase(answer.status)) + "\r\n";
    for (const auto& [name, value] : answer.fields.lines()) {
      text += name;
      text += ": ";
      text += value;
      text += "\r\n";
    }
    if (answer.status != 204 && answer.status != 304) {
      text += "Content-Length: " + std::to_string(body_bytes) + "\r\n";
    }
    text += "Date: " + http_date(server_.runtime_.now()) + "\r\n";
    if (must_close_) {
      text += "Connection: close\r\n";
    } else if (head_.minor_version == 0) {
      text += "Connection: keep-alive\r\n";
    }
    text += "\r\n";
    return text;
  }

  Task<Result<void>> send(core::Slices slices) {
    auto sent = co_await stream_->write_all(std::move(slices), write_deadline());
    if (!sent) must_close_ = true;
    co_return sent;
  }

  // Reads on for a bounded while after the answer, so that a client which is still sending gets to
  // read the answer instead of a reset (RFC 9112 section 9.6).
  Task<> linger() {
    stream_->shutdown_write();
    const auto deadline = server_.runtime_.steady_now() + linger_time_;
    std::vector<std::byte> dropped(64 * core::KiB);
    std::uint64_t total = 0;
    while (total < core::limits::kLingerBytesMax) {
      const auto bytes = co_await stream_->read_some(dropped, deadline);
      if (!bytes) break;
      total += *bytes;
    }
  }

  HttpServer& server_;
  std::unique_ptr<Stream> stream_;
  const std::string peer_;
  std::list<Session*>::iterator place_;
  std::optional<core::SteadyTime> waiting_since_;
  std::vector<std::byte> input_;  // received, not yet consumed; at most one head and a little
  http::RequestHead head_;
  http::ChunkedDecoder decoder_;
  std::uint64_t body_left_ = 0;
  core::Deadline body_end_{};
  std::optional<core::SteadyTime> body_began_;
  std::uint64_t body_received_ = 0;  // as sent, chunk sizes included
  std::uint64_t answer_left_ = 0;
  core::Duration linger_time_ = kLingerTime;
  bool body_done_ = true;
  bool continue_sent_ = false;
  bool answered_ = false;
  bool must_close_ = false;
  bool idle_ = false;
};

HttpServer::HttpServer(IoRuntime& runtime, HttpServerSettings settings, Handler handler,
                       Refusal refusal)
    : runtime_(runtime),
      settings_(settings),
      handler_(std::move(handler)),
      refusal_(std::move(refusal)),
      session_ended_(runtime.make_signal()) {}

HttpServer::~HttpServer() = default;

Result<void> HttpServer::listen(Endpoint endpoint) {
  auto listener = io::listen(runtime_, std::move(endpoint));
  if (!listener) return pass(std::move(listener));
  listener_ = std::move(*listener);
  accepting_ = true;
  runtime_.spawn(accept_loop());
  return {};
}

Endpoint HttpServer::local() const {
  return listener_->local();
}

void HttpServer::close() {
  closing_ = true;
  if (listener_) listener_->close();
  session_ended_->notify_all();
  for (Session* session : sessions_) session->close_if_idle();
}

Task<bool> HttpServer::drained(core::Deadline deadline) {
  while (!sessions_.empty() || accepting_) {
    if (!co_await session_ended_->wait(deadline) && runtime_.steady_now() >= deadline) {
      co_return sessions_.empty() && !accepting_;
    }
  }
  co_return true;
}

Task<> HttpServer::accept_loop() {
  while (!closing_) {
    if (sessions_.size() >= settings_.connections_max && !end_longest_waiting(nullptr)) {
      co_await session_ended_->wait(runtime_.steady_now() + std::chrono::seconds(1));
      continue;
    }
    auto stream = co_await listener_->accept();
    if (stream) {
      runtime_.spawn(serve(std::move(*stream)));
    } else if (stream.error().code != Code::closed) {
      co_await runtime_.sleep(
          std::chrono::milliseconds(50));  // no descriptors: some will come back
    }
  }
  accepting_ = false;
  session_ended_->notify_all();
}

Task<> HttpServer::serve(std::unique_ptr<Stream> stream) {
  Session session(*this, std::move(stream));
  const auto count = per_address_.find(session.peer());
  if (count->second > settings_.connections_per_address_max &&
      !end_longest_waiting(&session.peer())) {
    co_return co_await session.turn_away();
  }
  co_await session.run();
}

bool HttpServer::end_longest_waiting(const std::string* peer) {
  Session* longest = nullptr;
  core::SteadyTime since = runtime_.steady_now() - kWaitingGrace;
  for (Session* session : sessions_) {
    if (peer != nullptr && session->peer() != *peer) continue;
    const auto waiting = session->waiting_since();
    if (!waiting || *waiting > since) continue;
    since = *waiting;
    longest = session;
  }
  if (longest == nullptr) return false;
  longest->end_waiting();
  return true;
}

}  // namespace daybook::io
