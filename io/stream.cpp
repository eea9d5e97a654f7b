#include "io/stream.hpp"

#include <charconv>
#include <filesystem>
#include <map>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "core/limits.hpp"
#include "io/resolve.hpp"
#include "io/runtime.hpp"

namespace daybook::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using UnixSocket = asio::local::stream_protocol::socket;
using TlsSocket = asio::ssl::stream<tcp::socket>;
using boost::system::error_code;
constexpr auto kLater = asio::as_tuple(asio::use_awaitable);

// Cancels a socket when a wait lasts past its deadline. The timer is armed lazily: a wait that ends
// in time costs two stores, and the timer, when it fires early, re-arms itself for the wait of
// then.
class Watchdog {
 public:
  template <class Cancel>
  Watchdog(asio::io_context& context, Cancel cancel)
      : context_(context), cancel_(std::move(cancel)) {}
  ~Watchdog() {
    if (!state_) return;
    state_->cancel = nullptr;
    state_->timer.cancel();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void begin(core::Deadline deadline) {
    if (!state_) state_ = std::make_shared<State>(context_, std::move(cancel_));
    state_->waiting = true;
    state_->expired = false;
    state_->deadline = deadline;
    if (!state_->armed || state_->timer.expiry() > deadline) arm(state_);
  }
  // True: the wait was cut off because its deadline passed.
  bool end() {
    state_->waiting = false;
    return state_->expired;
  }

 private:
  struct State {
    State(asio::io_context& context, std::function<void()> on_expiry)
        : timer(context), cancel(std::move(on_expiry)) {}
    asio::steady_timer timer;
    std::function<void()> cancel;  // empty: the owner is gone
    core::Deadline deadline{};
    bool waiting = false;
    bool expired = false;
    bool armed = false;
  };

  static void arm(const std::shared_ptr<State>& state) {
    state->armed = true;
    state->timer.expires_at(state->deadline);
    state->timer.async_wait([state](const error_code& error) {
      if (error || !state->cancel) return;
      state->armed = false;
      if (!state->waiting) return;
      if (std::chrono::steady_clock::now() < state->deadline) return arm(state);
      state->expired = true;
      state->cancel();
    });
  }

  asio::io_context& context_;
  std::function<void()> cancel_;  // until state_ has it
  std::shared_ptr<State> state_;  // from the first wait on: many connections never write
};

core::Failure io_failure(const error_code& error, bool timed_out, core::Origin origin,
                         std::string_view doing) {
  if (timed_out) {
    return core::fail(core::Code::timeout, origin, core::Retry::unknown_outcome,
                      std::string(doing) + " took longer than its deadline");
  }
  const bool orderly = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
  return core::fail(core::Code::closed, origin,
                    orderly ? core::Retry::never : core::Retry::unknown_outcome,
                    std::string(doing) + ": " + error.message());
}

// Asio's own condition hands the kernel 64 KiB at a time; an append is one gathered write.
struct AllAtOnce {
  std::size_t operator()(const error_code& error, std::size_t) const {
    return error ? 0 : kWriteBytes;
  }
  static constexpr std::size_t kWriteBytes = core::limits::kBodyBytesCeiling;
};

template <class Socket>
class SocketStream final : public Stream {
 public:
  SocketStream(asio::io_context& context, Socket socket, core::Origin origin)
      : socket_(std::move(socket)),
        origin_(origin),
        read_watch_(context, [this] { cancel(); }),
        write_watch_(context, [this] { cancel(); }) {}
  ~SocketStream() override { close(); }

  core::Task<core::Result<std::size_t>> read_some(core::MutableBytes into,
                                                  core::Deadline deadline) override {
    read_watch_.begin(deadline);
    const auto [error, bytes] =
        co_await socket_.async_read_some(asio::buffer(into.data(), into.size()), kLater);
    const bool timed_out = read_watch_.end();
    if (error) co_return io_failure(error, timed_out, origin_, "reading");
    co_return bytes;
  }

  core::Task<core::Result<void>> write_all(core::Slices slices, core::Deadline deadline) override {
    std::vector<asio::const_buffer> buffers;
    buffers.reserve(slices.size());
    for (core::Bytes slice : slices) buffers.emplace_back(slice.data(), slice.size());
    write_watch_.begin(deadline);
    const auto [error, bytes] = co_await asio::async_write(socket_, buffers, AllAtOnce{}, kLater);
    const bool timed_out = write_watch_.end();
    if (error) co_return io_failure(error, timed_out, origin_, "writing");
    co_return core::Result<void>{};
  }

  core::Task<core::Result<void>> wait_for_bytes(std::size_t bytes,
                                                core::Deadline deadline) override {
    if constexpr (std::is_same_v<Socket, TlsSocket>) {
      co_return core::Result<void>{};
    } else {
      if (bytes_waiting() >= bytes) co_return core::Result<void>{};
      // The kernel wakes us once, however many pieces the bytes come in. Reads know no such mark.
      error_code ignored;
      socket_.set_option(asio::socket_base::receive_low_watermark(static_cast<int>(bytes)),
                         ignored);
      read_watch_.begin(deadline);
      const auto [error] = co_await socket_.async_wait(Socket::wait_read, kLater);
      const bool timed_out = read_watch_.end();
      socket_.set_option(asio::socket_base::receive_low_watermark(1), ignored);
      if (error) co_return io_failure(error, timed_out, origin_, "reading");
      if (bytes_waiting() >= bytes || !peer_has_ended()) co_return core::Result<void>{};
      co_return io_failure(asio::error::eof, false, origin_, "reading");
    }
  }

  [[nodiscard]] std::size_t bytes_waiting() const override {
    if constexpr (std::is_same_v<Socket, TlsSocket>) {
      return 0;
    } else {
      error_code none;
      const std::size_t bytes = socket_.available(none);
      return none ? 0 : bytes;
    }
  }

  void shutdown_write() override {
    error_code ignored;
    if constexpr (!std::is_same_v<Socket, TlsSocket>) {
      socket_.shutdown(Socket::shutdown_send, ignored);
    }
  }

  void hang_up(core::Bytes last_words) override {
    error_code ignored;
    if constexpr (!std::is_same_v<Socket, TlsSocket>) {
      if (!last_words.empty()) {
        static_cast<void>(::send(socket_.native_handle(), last_words.data(), last_words.size(),
                                 MSG_DONTWAIT | MSG_NOSIGNAL));
      }
    }
    socket_.lowest_layer().shutdown(asio::socket_base::shutdown_both, ignored);
  }

  [[nodiscard]] std::string peer() const override {
    if constexpr (std::is_same_v<Socket, tcp::socket>) {
      error_code none;
      const auto endpoint = socket_.remote_endpoint(none);
      if (!none) return endpoint.address().to_string();
    }
    return {};
  }

  void close() override {
    error_code ignored;
    socket_.lowest_layer().close(ignored);
  }

 private:
  void cancel() {
    error_code ignored;
    socket_.lowest_layer().cancel(ignored);
  }
  [[nodiscard]] bool peer_has_ended() {
    pollfd end{socket_.lowest_layer().native_handle(), POLLRDHUP, 0};
    return ::poll(&end, 1, 0) == 1;
  }

  Socket socket_;
  core::Origin origin_;
  Watchdog read_watch_;
  Watchdog write_watch_;
};

core::Failure cannot_connect(const Endpoint& endpoint, core::Origin origin, std::string_view why) {
  return core::fail(core::Code::unavailable, origin, core::Retry::safe,
                    "cannot connect to " + endpoint.str() + ": " + std::string(why));
}

// One context per set of files, made anew when one of them has changed; making one reads the files
// and is slow. I/O thread only.
core::Result<std::shared_ptr<asio::ssl::context>> tls_context(const TlsSettings& tls,
                                                              core::Origin origin) {
  struct Kept {
    std::shared_ptr<asio::ssl::context> context;
    std::vector<std::filesystem::file_time_type> written;
  };
  thread_local std::map<std::vector<std::string>, Kept> contexts;
  const std::vector<std::string> files = {tls.ca_file, tls.cert_file, tls.key_file};
  std::vector<std::filesystem::file_time_type> written;
  for (const std::string& file : files) {
    std::error_code missing;
    written.push_back(std::filesystem::last_write_time(file, missing));
  }
  Kept& kept = contexts[files];
  if (kept.context && kept.written == written) return kept.context;
  auto made = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  const auto unreadable = [origin](std::string_view what, const std::string& file,
                                   const error_code& error) {
    return core::fail(core::Code::misconfigured, origin, core::Retry::never,
                      "cannot read " + std::string(what) + " from '" + file + "': " +
                          error.message() + ". It must be a PEM file that this user may read");
  };
  error_code error;
  if (tls.ca_file.empty()) {
    made->set_default_verify_paths(error);
  } else {
    made->load_verify_file(tls.ca_file, error);
  }
  if (error) return unreadable("certificates", tls.ca_file, error);
  if (!tls.cert_file.empty()) {
    made->use_certificate_chain_file(tls.cert_file, error);
    if (error) return unreadable("the client certificate", tls.cert_file, error);
    made->use_private_key_file(tls.key_file, asio::ssl::context::pem, error);
    if (error) return unreadable("the client certificate's key", tls.key_file, error);
  }
  kept = {std::move(made), std::move(written)};
  return kept.context;
}

// Leaves the targets that the rule takes.
core::Result<void> keep_allowed(std::vector<tcp::endpoint>& targets, const AddressRule& allowed,
                                const Endpoint& endpoint, core::Origin origin) {
  if (!allowed) return {};
  std::string refused;
  std::erase_if(targets, [&](const tcp::endpoint& target) {
    const std::string address = target.address().to_string();
    if (allowed(address)) return false;
    refused += (refused.empty() ? "" : ", ") + address;
    return true;
  });
  if (!targets.empty() || refused.empty()) return {};
  return core::fail(core::Code::denied, origin, core::Retry::safe,
                    "will not connect to " + endpoint.str() + ": " + refused +
                        " is not an address of the public Internet");
}

core::Task<core::Result<tcp::socket>> connect_tcp(IoRuntime& runtime, Endpoint endpoint,
                                                  core::Origin origin, core::Deadline deadline,
                                                  AddressRule allowed) {
  const auto addresses = co_await resolve(runtime, endpoint.host, origin, deadline);
  if (!addresses) co_return cannot_connect(endpoint, origin, addresses.error().detail);
  std::vector<tcp::endpoint> targets;
  for (const std::string& address : *addresses) {
    targets.emplace_back(asio::ip::make_address(address), endpoint.port);
  }
  const auto kept = keep_allowed(targets, allowed, endpoint, origin);
  if (!kept) co_return pass(kept);
  std::string why = "no address";
  for (const tcp::endpoint& target : targets) {
    tcp::socket socket(runtime.context());
    Watchdog watch(runtime.context(), [&socket] {
      error_code ignored;
      socket.close(ignored);
    });
    watch.begin(deadline);
    const auto [error] = co_await socket.async_connect(target, kLater);
    const bool timed_out = watch.end();
    if (!error) {
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      co_return std::move(socket);
    }
    why = timed_out ? "no answer before the deadline" : error.message();
  }
  co_return cannot_connect(endpoint, origin, why);
}

// Why a server's certificate is not taken, in words that say what to mend.
std::string refused_certificate(bool trusted, asio::ssl::verify_context& chain,
                                const TlsSettings& tls) {
  if (trusted) return "the certificate is not for the name " + tls.server_name;
  const int reason = X509_STORE_CTX_get_error(chain.native_handle());
  std::string text =
      std::string("the certificate is not accepted: ") + X509_verify_cert_error_string(reason);
  switch (reason) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      text += " (its authority is not in ";
      text += tls.ca_file.empty() ? "the system's certificates)" : tls.ca_file + ")";
      break;
    default:
      break;
  }
  return text;
}

// A handshake failed. A certificate that is not what it must be is a matter of settings.
core::Failure tls_failure(const Endpoint& endpoint, core::Origin origin, const std::string& refusal,
                          const error_code& error) {
  if (!refusal.empty()) {
    return core::fail(core::Code::misconfigured, origin, core::Retry::safe,
                      "cannot connect to " + endpoint.str() + ": TLS: " + refusal);
  }
  const bool no_tls = error.message().find("wrong version number") != std::string::npos;
  return cannot_connect(
      endpoint, origin,
      "TLS: " + error.message() + (no_tls ? ". The server does not speak TLS on this port" : ""));
}

core::Task<core::Result<std::unique_ptr<Stream>>> connect_tls(IoRuntime& runtime, Endpoint endpoint,
                                                              TlsSettings tls, core::Origin origin,
                                                              core::Deadline deadline,
                                                              AddressRule allowed) {
  auto context = tls_context(tls, origin);
  if (!context) co_return pass(context);
  auto socket = co_await connect_tcp(runtime, endpoint, origin, deadline, std::move(allowed));
  if (!socket) co_return pass(socket);
  TlsSocket secure(std::move(*socket), **context);
  error_code literal;
  asio::ip::make_address(tls.server_name, literal);
  if (literal) SSL_set_tlsext_host_name(secure.native_handle(), tls.server_name.c_str());
  std::string refusal;
  if (tls.verify_peer) {
    secure.set_verify_mode(asio::ssl::verify_peer);
    secure.set_verify_callback([&refusal,
                                names = asio::ssl::host_name_verification(tls.server_name),
                                &tls](bool trusted, asio::ssl::verify_context& chain) {
      const bool good = names(trusted, chain);
      if (!good && refusal.empty()) refusal = refused_certificate(trusted, chain, tls);
      return good;
    });
  }
  Watchdog watch(runtime.context(), [&secure] {
    error_code ignored;
    secure.lowest_layer().close(ignored);
  });
  watch.begin(deadline);
  const auto [error] = co_await secure.async_handshake(TlsSocket::client, kLater);
  if (watch.end()) {
    co_return cannot_connect(
        endpoint, origin,
        "no TLS answer before the deadline; does the server speak TLS on this port?");
  }
  if (error) {
    co_return tls_failure(endpoint, origin, refusal, error);
  }
  co_return std::make_unique<SocketStream<TlsSocket>>(runtime.context(), std::move(secure), origin);
}

class TcpListener final : public Listener {
 public:
  TcpListener(IoRuntime& runtime, tcp::acceptor acceptor)
      : context_(runtime.context()), acceptor_(std::move(acceptor)) {}

  core::Task<core::Result<std::unique_ptr<Stream>>> accept() override {
    auto [error, socket] = co_await acceptor_.async_accept(kLater);
    if (error) {
      const bool closed = error == asio::error::operation_aborted || !acceptor_.is_open();
      co_return core::fail(closed ? core::Code::closed : core::Code::overloaded, core::Origin::self,
                           core::Retry::safe, "accept: " + error.message());
    }
    co_return stream_of(std::move(socket));
  }
  std::unique_ptr<Stream> accept_waiting() override {
    // The listening socket may block; nobody else takes what poll() has seen.
    pollfd waiting{acceptor_.native_handle(), POLLIN, 0};
    if (::poll(&waiting, 1, 0) != 1 || (waiting.revents & POLLIN) == 0) return nullptr;
    const int descriptor = ::accept4(waiting.fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) return nullptr;
    tcp::socket socket(context_);
    error_code error;
    socket.assign(acceptor_.local_endpoint(error).protocol(), descriptor, error);
    if (error) {
      ::close(descriptor);
      return nullptr;
    }
    return stream_of(std::move(socket));
  }
  void close() override {
    error_code ignored;
    acceptor_.close(ignored);
  }
  [[nodiscard]] Endpoint local() const override {
    error_code ignored;
    const auto endpoint = acceptor_.local_endpoint(ignored);
    return {endpoint.address().to_string(), endpoint.port(), {}};
  }

 private:
  std::unique_ptr<Stream> stream_of(tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    return std::make_unique<SocketStream<tcp::socket>>(context_, std::move(socket),
                                                       core::Origin::client);
  }

  asio::io_context& context_;
  tcp::acceptor acceptor_;
};

}  // namespace

std::string Endpoint::str() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

core::Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto bad = [text] {
    return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                      "'" + std::string(text) + "' is not an address like 127.0.0.1:7080");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || error != std::errc{} || end != digits.data() + digits.size()) return bad();
  return Endpoint{std::string(host), port, {}};
}

core::Task<core::Result<std::unique_ptr<Stream>>> connect(IoRuntime& runtime, Endpoint endpoint,
                                                          std::optional<TlsSettings> tls,
                                                          core::Origin origin,
                                                          core::Deadline deadline,
                                                          AddressRule allowed) {
  if (tls) {
    co_return co_await connect_tls(runtime, endpoint, *tls, origin, deadline, std::move(allowed));
  }
  if (!endpoint.unix_path.empty()) {
    UnixSocket socket(runtime.context());
    const auto [error] = co_await socket.async_connect({endpoint.unix_path}, kLater);
    if (error) co_return cannot_connect(endpoint, origin, error.message());
    co_return std::make_unique<SocketStream<UnixSocket>>(runtime.context(), std::move(socket),
                                                         origin);
  }
  auto socket = co_await connect_tcp(runtime, endpoint, origin, deadline, std::move(allowed));
  if (!socket) co_return pass(socket);
  co_return std::make_unique<SocketStream<tcp::socket>>(runtime.context(), std::move(*socket),
                                                        origin);
}

core::Result<std::unique_ptr<Listener>> listen(IoRuntime& runtime, Endpoint endpoint) {
  error_code error;
  if (endpoint.host == "localhost") endpoint.host = "127.0.0.1";
  const auto cannot = [&](std::string_view why) {
    return core::fail(core::Code::unavailable, core::Origin::self, core::Retry::never,
                      "cannot listen on " + endpoint.str() + ": " + std::string(why));
  };
  const auto address = asio::ip::make_address(endpoint.host, error);
  if (error) return cannot("not an IP address");
  const tcp::endpoint local(address, endpoint.port);
  tcp::acceptor acceptor(runtime.context());
  acceptor.open(local.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(local, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error == asio::error::address_in_use) {
    return cannot("another program uses the port; stop it or choose another server.listen");
  }
  if (error) return cannot(error.message());
  return std::make_unique<TcpListener>(runtime, std::move(acceptor));
}

}  // namespace daybook::io
