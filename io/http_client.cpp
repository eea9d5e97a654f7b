#include "io/http_client.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/check.hpp"
#include "core/text.hpp"
#include "io/http_exchange.hpp"
#include "io/runtime.hpp"

namespace daybook::io {
namespace {

using core::Code;
using core::Retry;

struct IdleConnection {
  std::unique_ptr<Stream> stream;
  core::SteadyTime since;
};

// The connections of one client. Leases share it, so that a request that outlives its client at
// shutdown gives back to something that is still there.
struct Pool {
  std::unique_ptr<core::Signal> changed;
  std::vector<IdleConnection> idle;  // the most recently used one last
  std::size_t leased = 0;
  std::set<Stream*> busy;  // with a request in progress
  bool closing = false;
};

// Names a stream as busy while it lives.
class Busy {
 public:
  Busy(Pool& pool, Stream* stream) : pool_(pool), stream_(stream) { pool_.busy.insert(stream); }
  ~Busy() { pool_.busy.erase(stream_); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  Pool& pool_;
  Stream* stream_;
};

// The right to one connection of the pool; going without give_back() closes it.
class Lease {
 public:
  explicit Lease(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) { ++pool_->leased; }
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease() {
    if (!pool_) return;
    --pool_->leased;
    pool_->changed->notify_all();
  }

  void give_back(core::SteadyTime now) { pool_->idle.push_back({std::move(stream), now}); }

  std::unique_ptr<Stream> stream;  // empty: not connected yet
  bool reused = false;

 private:
  std::shared_ptr<Pool> pool_;
};

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_target(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

bool is_field_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
  });
}

// Bytes that could end a line early would let a value write headers of its own.
core::Result<void> check_request(const HttpRequest& request, core::Origin origin) {
  const auto refuse = [origin](const std::string& what) {
    return core::fail(Code::invalid_argument, origin, Retry::never,
                      what + " holds characters that HTTP cannot carry");
  };
  if (!is_token(request.method)) return refuse("the method");
  if (!is_target(request.target)) return refuse("the target '" + request.target + "'");
  for (const auto& [name, value] : request.fields.lines()) {
    if (!is_token(name)) return refuse("the name of the header '" + name + "'");
    if (!is_field_value(value)) return refuse("the header " + name);
  }
  for (const std::string_view name : {"Host", "Content-Length", "Expect", "Transfer-Encoding"}) {
    CHECK(request.fields.count(name) == 0);
  }
  return {};
}

std::string write_head(const HttpRequest& request, const std::string& host) {
  std::string head = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + host + "\r\n";
  const std::uint64_t body_bytes = core::total_bytes(request.body);
  const std::string& method = request.method;
  if (body_bytes > 0 || method == "POST" || method == "PUT" || method == "PATCH") {
    head += "Content-Length: " + std::to_string(body_bytes) + "\r\n";
  }
  if (body_bytes > 0 && request.expect_continue) head += "Expect: 100-continue\r\n";
  for (const auto& [name, value] : request.fields.lines()) {
    head.append(name).append(": ").append(value).append("\r\n");
  }
  return head + "\r\n";
}

// A kept connection may have been closed by the server meanwhile; some say so first, with a 408.
bool was_stale(const ExchangeOutcome& outcome) {
  if (!outcome.response) {
    return !outcome.answer_began && outcome.response.error().code == Code::closed;
  }
  return outcome.response->head.status == 408 && !outcome.response->head.keep_alive;
}

}  // namespace

struct HttpClient::Impl {
  IoRuntime& runtime;
  Settings settings;
  std::shared_ptr<Pool> pool;

  core::Task<core::Result<Lease>> acquire(core::Deadline deadline) {
    const std::shared_ptr<Pool> connections = pool;
    while (connections->leased >= settings.connections_max) {
      const bool notified = co_await connections->changed->wait(deadline);
      if (!notified && runtime.steady_now() >= deadline) {
        co_return core::fail(Code::timeout, settings.origin, Retry::safe,
                             "all " + std::to_string(settings.connections_max) +
                                 " connections to " + settings.endpoint.str() +
                                 " were busy until the deadline");
      }
    }
    drop_old_connections();
    Lease lease(connections);
    if (!connections->idle.empty()) {
      lease.stream = std::move(connections->idle.back().stream);
      lease.reused = true;
      connections->idle.pop_back();
      co_return lease;
    }
    auto stream = co_await open(deadline);
    if (!stream) co_return pass(std::move(stream));
    lease.stream = std::move(*stream);
    co_return lease;
  }

  core::Task<core::Result<std::unique_ptr<Stream>>> open(core::Deadline deadline) {
    if (settings.connect_timeout != core::Duration{}) {
      deadline = std::min(deadline, runtime.steady_now() + settings.connect_timeout);
    }
    return connect(runtime, settings.endpoint, settings.tls, settings.origin, deadline,
                   settings.allowed);
  }

  void drop_old_connections() const {
    const core::SteadyTime oldest = runtime.steady_now() - settings.idle_max;
    std::erase_if(pool->idle, [oldest](const auto& one) { return one.since < oldest; });
  }
};

HttpClient::HttpClient(IoRuntime& runtime, Settings settings)
    : impl_(std::make_unique<Impl>(runtime, std::move(settings), std::make_shared<Pool>())) {
  CHECK(impl_->settings.connections_max > 0);
  impl_->pool->changed = runtime.make_signal();
}

HttpClient::~HttpClient() {
  close_idle();
}

void HttpClient::close_idle() {
  impl_->pool->idle.clear();
}

void HttpClient::close() {
  impl_->pool->closing = true;
  close_idle();
  for (Stream* stream : impl_->pool->busy) stream->close();
}

core::Task<core::Result<HttpResponse>> HttpClient::send(HttpRequest request,
                                                        core::Deadline deadline) {
  const Settings& settings = impl_->settings;
  auto allowed = check_request(request, settings.origin);
  if (!allowed) co_return pass(allowed);
  if (impl_->runtime.steady_now() >= deadline) {
    co_return core::fail(Code::timeout, settings.origin, Retry::safe,
                         "the deadline had passed before the request was sent");
  }
  const std::string head = write_head(request, settings.host_header);

  auto lease = co_await impl_->acquire(deadline);
  if (!lease) co_return pass(std::move(lease));
  const std::shared_ptr<Pool> pool = impl_->pool;
  for (;;) {
    if (pool->closing) {
      co_return core::fail(Code::closed, settings.origin, Retry::safe, "this client is closed");
    }
    ExchangeOutcome outcome;
    {
      const Busy busy(*pool, lease->stream.get());
      outcome = co_await exchange(impl_->runtime, *lease->stream, request, head, settings.origin,
                                  deadline);
    }
    if (outcome.reusable) lease->give_back(impl_->runtime.steady_now());
    if (!lease->reused || !was_stale(outcome)) {
      if (outcome.response) co_return std::move(outcome.response);
      core::Error error = std::move(outcome.response).error();
      error.detail = settings.endpoint.str() + ": " + error.detail;
      co_return core::Failure(std::move(error));
    }
    // Connections that were kept longer than this one are as dead.
    close_idle();
    auto fresh = co_await impl_->open(deadline);
    if (!fresh) co_return pass(std::move(fresh));
    lease->stream = std::move(*fresh);
    lease->reused = false;
  }
}

}  // namespace daybook::io
