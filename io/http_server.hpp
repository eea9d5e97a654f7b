// HttpServer: HTTP/1.1 over Streams. It frames, times and bounds; what a request means is the
// handler's business. Bodies are never collected here: the handler reads them, straight into its
// own memory. Pipelined requests are answered one after the other. I/O thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "core/http/message.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"
#include "io/runtime.hpp"
#include "io/stream.hpp"

namespace daybook::io {

struct HttpServerSettings {
  std::size_t connections_max = 4096;
  core::Duration header_timeout{};
  core::Duration idle_timeout{};
  core::Duration body_idle_timeout{};
  core::Duration body_timeout{};
  core::Duration write_timeout{};
};

// What is said besides the body. Content-Length, Date, Connection are added.
struct HttpAnswer {
  int status = 200;
  core::http::Fields fields;
  std::string body;
};

// One request and its answer.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  [[nodiscard]] virtual const core::http::RequestHead& head() const = 0;

  // Body bytes into `into` (at most one socket read); 0 = the body is complete. The first call
  // answers `Expect: 100-continue`. Errors: timeout, closed (the client left), invalid_argument
  // (framing).
  virtual core::Task<core::Result<std::size_t>> read_body(core::MutableBytes into) = 0;

  // The whole answer at once.
  virtual core::Task<core::Result<void>> respond(HttpAnswer answer) = 0;
  // A long answer: its head with the body's length, then the body in pieces that add up to it.
  virtual core::Task<core::Result<void>> begin(HttpAnswer answer, std::uint64_t body_bytes) = 0;
  virtual core::Task<core::Result<void>> write(core::Slices slices) = 0;
  // The client's address; empty where it is not known.
  [[nodiscard]] virtual std::string peer() const { return {}; }
};

class HttpServer {
 public:
  using Handler = std::function<core::Task<>(HttpExchange&)>;
  // How a request that never reached a handler (a refused head) is answered; also told to metrics.
  using Refusal = std::function<HttpAnswer(int status, const std::string& detail)>;

  HttpServer(IoRuntime& runtime, HttpServerSettings settings, Handler handler, Refusal refusal);
  ~HttpServer();

  core::Result<void> listen(Endpoint endpoint);
  [[nodiscard]] Endpoint local() const;
  // Stops accepting and ends idle connections; requests in flight finish and their connection
  // closes.
  void close();
  // Returns when the last connection has ended (true) or the deadline passed (false).
  core::Task<bool> drained(core::Deadline deadline);
  [[nodiscard]] std::size_t connections() const { return sessions_.size(); }

 private:
  class Session;
  core::Task<> accept_loop();
  core::Task<> serve(std::unique_ptr<Stream> stream);

  IoRuntime& runtime_;
  HttpServerSettings settings_;
  Handler handler_;
  Refusal refusal_;
  std::unique_ptr<Listener> listener_;
  std::list<Session*> sessions_;
  std::unique_ptr<core::Signal> session_ended_;
  bool closing_ = false;
  bool accepting_ = false;
};

}  // namespace daybook::io
