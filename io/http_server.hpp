// HttpServer: HTTP/1.1 over Streams. It frames, times and bounds; what a request means is the
// handler's business. Bodies are never collected here: the handler reads them, straight into its
// own memory. Pipelined requests are answered one after the other. When all connections it may hold
// are open, it ends those that wait for their clients, the longest-waiting first. I/O thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/http/message.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"
#include "io/runtime.hpp"
#include "io/stream.hpp"
#include "io/waiting_line.hpp"

namespace daybook::io {

struct HttpServerSettings {
  std::size_t connections_max = 4096;
  // 0 = all of them from loopback, where a proxy speaks for many, and three quarters from
  // elsewhere.
  std::size_t connections_per_address_max = 0;
  core::Duration header_timeout{};
  core::Duration idle_timeout{};
  core::Duration body_idle_timeout{};
  core::Duration body_timeout{};
  std::uint64_t body_rate_min = 0;  // bytes a second, from body_rate_grace on; 0 = none
  core::Duration body_rate_grace = std::chrono::seconds(10);
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
  [[nodiscard]] virtual const std::string& peer() const = 0;  // the client's address

  // Waits until so many bytes of the body, or all of a shorter one, have arrived, without the
  // memory that reading it takes: who asks for that then has something to show. Returns at once for
  // a client that waits for 100. Errors as of read_body().
  virtual core::Task<core::Result<void>> body_arrives(std::size_t bytes) = 0;

  // Body bytes into `into` (at most one socket read); 0 = the body is complete. The first call
  // answers `Expect: 100-continue`. Errors: timeout, closed (the client left), invalid_argument
  // (framing).
  virtual core::Task<core::Result<std::size_t>> read_body(core::MutableBytes into) = 0;

  // The whole answer at once.
  virtual core::Task<core::Result<void>> respond(HttpAnswer answer) = 0;
  // A long answer: its head with the body's length, then the body in pieces that add up to it.
  virtual core::Task<core::Result<void>> begin(HttpAnswer answer, std::uint64_t body_bytes) = 0;
  virtual core::Task<core::Result<void>> write(core::Slices slices) = 0;
  // An answer whose length nobody knows yet: its head, then write() whenever there is something,
  // and end(). Each write has server.write_timeout. When the server closes, who hangs in a write is
  // cut off; who waits for something to write must end by himself.
  virtual core::Task<core::Result<void>> begin_stream(HttpAnswer answer) = 0;
  virtual core::Task<core::Result<void>> end() = 0;
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
  [[nodiscard]] std::size_t connections() const { return sessions_.size() - leaving_; }
  // Connections that were ended to make room, since the start.
  [[nodiscard]] std::uint64_t ended_for_room() const { return ended_for_room_; }

 private:
  class Session;
  // What is counted of one client address.
  struct Address {
    std::size_t connections = 0;
    std::size_t leaving = 0;  // of them: ended, and not gone yet
    WaitingLine<Session> line;
  };
  core::Task<> accept_loop();
  core::Task<> serve(std::unique_ptr<Stream> stream);
  // True: there is room for one more connection, or somebody who waited was ended for it.
  bool make_room();
  // Ends the connection that waits longest. False: none has waited long enough.
  bool end_longest(WaitingLine<Session>& line);
  void end(Session& session);
  [[nodiscard]] std::size_t per_address_max(const std::string& peer) const;
  // Memory for heads beyond the small; ends others that hold much of it while they wait.
  bool take_head_memory(const Session& taker, std::size_t bytes);

  IoRuntime& runtime_;
  HttpServerSettings settings_;
  Handler handler_;
  Refusal refusal_;
  std::unique_ptr<Listener> listener_;
  std::list<Session*> sessions_;
  std::map<std::string, Address> addresses_;
  WaitingLine<Session> line_;
  std::size_t leaving_ = 0;  // of sessions_: ended, and not gone yet
  std::uint64_t ended_for_room_ = 0;
  std::size_t head_bytes_ = 0;
  std::vector<std::byte> dropped_;  // bytes that nobody reads
  std::unique_ptr<core::Signal> session_ended_;
  bool closing_ = false;
  bool accepting_ = false;
};

}  // namespace daybook::io
