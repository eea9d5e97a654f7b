// Stream: an ordered byte connection with a deadline on every wait. Plain TCP, Unix sockets and TLS
// look the same to users. One reader and one writer at a time; I/O thread only.
//
// - read_some fills at most `into`, returns how many bytes came (> 0). The peer's orderly end is
//   Code::closed with retry never; a reset is Code::closed, retry unknown_outcome.
// - write_all returns when the kernel has taken every slice; the caller keeps them alive until
// then.
// - A passed deadline is Code::timeout. On a plain socket the other direction stays usable (a
// server
//   answers 408 after a body that never came); a TLS stream is only good for close() then.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::io {

class IoRuntime;

class Stream {
 public:
  virtual ~Stream() = default;
  virtual core::Task<core::Result<std::size_t>> read_some(core::MutableBytes into,
                                                          core::Deadline deadline) = 0;
  virtual core::Task<core::Result<void>> write_all(core::Slices slices,
                                                   core::Deadline deadline) = 0;
  // Returns when the kernel holds at least so many bytes for read_some, or sooner where that cannot
  // be told; nothing of ours is spent on them. In place of a read, with the same errors: closed,
  // too, when the peer ended before that many.
  virtual core::Task<core::Result<void>> wait_for_bytes(std::size_t bytes,
                                                        core::Deadline deadline) = 0;
  // Bytes that a read would get at once; 0 where it cannot be told.
  [[nodiscard]] virtual std::size_t bytes_waiting() const { return 0; }
  // Tells the peer that nothing more comes; reading goes on.
  virtual void shutdown_write() = 0;
  // The peer's address without its port, so that one client's connections can be counted; "" where
  // it has none.
  [[nodiscard]] virtual std::string peer() const { return {}; }
  // Both directions end; a read in progress sees the peer's end. For whoever is not the reader:
  // the descriptor stays, so that a read which io_uring has not been given yet cannot meet another
  // connection that got its number. last_words are sent before, as far as they leave at once; not
  // while a write is in progress.
  virtual void hang_up(core::Bytes /*last_words*/ = {}) {}
  // Ends the connection now; waits in progress end with Code::closed. Safe to call twice.
  virtual void close() = 0;
};

// Where to connect or listen: a host and port, or a Unix socket's path.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  std::string unix_path;  // not empty: host and port do not count

  [[nodiscard]] std::string str() const;
};

// "127.0.0.1:7080", "[::1]:7080", "localhost:7080".
[[nodiscard]] core::Result<Endpoint> parse_endpoint(std::string_view text);

// Who a TLS server must be, and who we are to it. Files are PEM; they are read again once they
// have changed, so that renewed certificates need no restart.
struct TlsSettings {
  std::string server_name;
  std::string ca_file;  // empty: the system's certificate store
  bool verify_peer = true;
  std::string cert_file = {};  // with its chain; empty: no client certificate
  std::string key_file = {};
};

// Which addresses may be connected to. It judges what a name was resolved to for this very
// connection, so that a name which changes its address cannot get past it. Empty: every address.
using AddressRule = std::function<bool(std::string_view address)>;

// origin: what to put into the errors of this stream (buffer, object_store, self). Where the rule
// takes none of the addresses: Code::denied, retry safe.
[[nodiscard]] core::Task<core::Result<std::unique_ptr<Stream>>> connect(
    IoRuntime& runtime, Endpoint endpoint, std::optional<TlsSettings> tls, core::Origin origin,
    core::Deadline deadline, AddressRule allowed = {});

// A listening TCP socket.
class Listener {
 public:
  virtual ~Listener() = default;
  // The next connection. Code::closed after close(); other errors (no file descriptors) may pass.
  virtual core::Task<core::Result<std::unique_ptr<Stream>>> accept() = 0;
  // One that is waiting already; null where there is none. Not while accept() is in progress.
  [[nodiscard]] virtual std::unique_ptr<Stream> accept_waiting() = 0;
  virtual void close() = 0;
  [[nodiscard]] virtual Endpoint local() const = 0;
};

[[nodiscard]] core::Result<std::unique_ptr<Listener>> listen(IoRuntime& runtime, Endpoint endpoint);

}  // namespace daybook::io
