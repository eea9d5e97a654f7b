#include "io/http_server.hpp"

#include "core/limits.hpp"
#include "io/http_session.hpp"

namespace daybook::io {

using core::Code;
using core::Result;
using core::Task;

namespace {

// A client that has been waited for this long makes room for others where there is none. An honest
// one sends its head at once.
constexpr auto kWaitingGrace = std::chrono::milliseconds(50);

// Connections taken at once, so that a crowd does not wait for as many turns of a busy loop.
constexpr int kAcceptBatch = 64;

constexpr std::size_t kDroppedBytes = 64 * core::KiB;

bool is_loopback(const std::string& peer) {
  return peer.starts_with("127.") || peer == "::1" || peer.starts_with("::ffff:127.");
}

}  // namespace

HttpServer::HttpServer(IoRuntime& runtime, HttpServerSettings settings, Handler handler,
                       Refusal refusal)
    : runtime_(runtime),
      settings_(settings),
      handler_(std::move(handler)),
      refusal_(std::move(refusal)),
      dropped_(kDroppedBytes),
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
    auto accepted = co_await listener_->accept();
    if (!accepted) {
      if (accepted.error().code != Code::closed && !end_longest(line_)) {
        co_await runtime_.sleep(kWaitingGrace);  // no descriptors: some will come back
      }
      continue;
    }
    // Nobody is ended before somebody is there who wants the room.
    std::unique_ptr<Stream> stream = std::move(*accepted);
    for (int taken = 0; stream && taken < kAcceptBatch; ++taken) {
      while (!closing_ && !make_room()) {
        co_await session_ended_->wait(runtime_.steady_now() + kWaitingGrace);
      }
      if (closing_) break;
      runtime_.spawn(serve(std::move(stream)));
      if (taken + 1 < kAcceptBatch) stream = listener_->accept_waiting();
    }
  }
  accepting_ = false;
  session_ended_->notify_all();
}

Task<> HttpServer::serve(std::unique_ptr<Stream> stream) {
  Session session(*this, std::move(stream));
  Address& address = addresses_.find(session.peer())->second;
  if (address.connections - address.leaving > per_address_max(session.peer()) &&
      !end_longest(address.line)) {
    co_return co_await session.turn_away();
  }
  co_await session.run();
}

std::size_t HttpServer::per_address_max(const std::string& peer) const {
  if (settings_.connections_per_address_max != 0) return settings_.connections_per_address_max;
  if (is_loopback(peer)) return settings_.connections_max;
  return settings_.connections_max - settings_.connections_max / 4;
}

bool HttpServer::make_room() {
  return connections() < settings_.connections_max || end_longest(line_);
}

bool HttpServer::end_longest(WaitingLine<Session>& line) {
  Session* longest = line.longest(runtime_.steady_now() - kWaitingGrace);
  if (longest == nullptr) return false;
  end(*longest);
  return true;
}

void HttpServer::end(Session& session) {
  ++ended_for_room_;
  session.end_waiting();
}

bool HttpServer::take_head_memory(const Session& taker, std::size_t bytes) {
  while (head_bytes_ + bytes > core::limits::kHeadsBytesMax) {
    Session* other = line_.find_owing([&taker](const Session& session) {
      return &session != &taker && session.holds_long_head();
    });
    if (other == nullptr) return false;
    end(*other);
  }
  head_bytes_ += bytes;
  return true;
}

}  // namespace daybook::io
