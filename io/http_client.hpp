// HttpClient: HTTP/1.1 requests to one server over kept-alive connections. I/O thread only.
// - The answer is read while the body is being sent, so that a request refused in the middle of its
//   body gives the refusal and not a broken pipe.
// - A connection returns to the pool only after a whole exchange; everything else closes it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/message.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"
#include "io/stream.hpp"

namespace daybook::io {

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";   // path and query, already encoded
  core::http::Fields fields;  // Host, Content-Length and Expect are added and must not be here
  core::Slices body;          // the caller keeps the bytes alive until the answer is there
  // Sends the body only when the server says so, refuses, or stays silent for one second.
  bool expect_continue = false;
  std::uint64_t response_bytes_max = 64 * core::MiB;
  // Called with the body bytes handed to the kernel so far, for progress displays. May be empty.
  std::function<void(std::uint64_t)> on_sent;
};

struct HttpResponse {
  core::http::ResponseHead head;
  core::ByteVector body;
};

class HttpClient {
 public:
  struct Settings {
    Endpoint endpoint;
    std::string host_header;  // "example.com:9000"
    std::optional<TlsSettings> tls;
    core::Origin origin = core::Origin::self;  // put into errors
    std::size_t connections_max = 16;          // requests beyond wait, until their deadline
    core::Duration idle_max = std::chrono::seconds(30);  // older kept connections are not reused
    AddressRule allowed = {};                            // where a connection may lead
    core::Duration connect_timeout{};  // of a connection, TLS included; 0 = the request's deadline
  };
  HttpClient(IoRuntime& runtime, Settings settings);
  ~HttpClient();

  // One request, one answer, whatever its status. A kept connection that the server closed before
  // it answered anything is replaced once. Failures:
  // - unavailable, retry safe: no connection; denied, retry safe: not allowed to have one
  // - timeout: the deadline passed; retry safe while waiting for a connection, else unknown_outcome
  // - closed, unknown_outcome: the connection broke
  // - invalid_argument, unknown_outcome: the answer is no HTTP
  // - too_large, unknown_outcome: the answer is larger than response_bytes_max
  // - invalid_argument, never: the request holds bytes that HTTP cannot carry
  core::Task<core::Result<HttpResponse>> send(HttpRequest request, core::Deadline deadline);

  // Closes the kept connections that no request uses; more may be made later.
  void close_idle();
  // Ends the requests in progress, with Code::closed, and takes no more; for shutdown.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "http://127.0.0.1:7080/x" -> endpoint, TLS, path. Errors say what is missing.
struct Url {
  bool https = false;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string path;  // "" or "/…", without a trailing slash

  // The value of Host: the port is left out where it is the scheme's own.
  [[nodiscard]] std::string authority() const;
};
[[nodiscard]] core::Result<Url> parse_url(std::string_view text);

// "https://example.com/v1/events/?kind=a": a server, and what is asked of it exactly as it stands.
// A query is not repeated in errors: it may hold a key.
struct FullUrl {
  Url server;          // without a path
  std::string target;  // path and query; "/" where there is none

  [[nodiscard]] std::string origin() const;         // "https://example.com"
  [[nodiscard]] std::string without_query() const;  // "https://example.com/v1/events/"
};
[[nodiscard]] core::Result<FullUrl> parse_full_url(std::string_view text);

}  // namespace daybook::io
