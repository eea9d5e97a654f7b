#include "bench/roofline/sockets.hpp"

#include <cerrno>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "core/check.hpp"

namespace daybook::bench::roofline {
namespace {

constexpr int kBacklog = 4096;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Descriptor stream_socket() {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(socket.number() >= 0);
  return socket;
}

}  // namespace

Descriptor listen_on_loopback() {
  Descriptor socket = stream_socket();
  const sockaddr_in address = loopback(0);
  CHECK(::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(::listen(socket.number(), kBacklog) == 0);
  return socket;
}

std::uint16_t port_of(const Descriptor& listener) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  CHECK(::getsockname(listener.number(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return ntohs(address.sin_port);
}

Descriptor accept_from(const Descriptor& listener) {
  int number = -1;
  do {
    number = ::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC);
  } while (number < 0 && errno == EINTR);
  CHECK(number >= 0);
  return Descriptor(number);
}

Descriptor connect_to(std::uint16_t port) {
  Descriptor socket = stream_socket();
  const sockaddr_in address = loopback(port);
  CHECK(::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
        0);
  // The length and the body leave together (MSG_MORE), so nothing is gained by waiting.
  const int on = 1;
  CHECK(::setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
  return socket;
}

void make_nonblocking(const Descriptor& socket) {
  CHECK(::fcntl(socket.number(), F_SETFL, O_NONBLOCK) == 0);
}

std::optional<std::size_t> receive_some(const Descriptor& socket, core::MutableBytes into) {
  for (;;) {
    const ssize_t got = ::recv(socket.number(), into.data(), into.size(), 0);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EAGAIN) return std::nullopt;
    if (errno == ECONNRESET) return 0;
    CHECK(errno == EINTR);
  }
}

std::optional<std::size_t> send_some(const Descriptor& socket, core::Bytes bytes, bool more) {
  for (;;) {
    const ssize_t sent =
        ::send(socket.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN) return std::nullopt;
    // The peer went away: as if it were sent; the missing answer tells.
    if (errno == EPIPE || errno == ECONNRESET) return bytes.size();
    CHECK(errno == EINTR);
  }
}

std::string answer_line(std::string_view sha256_hex) {
  std::string line("ok ");
  line += sha256_hex.empty() ? std::string(64, '-') : std::string(sha256_hex);
  return line + "\n";
}

}  // namespace daybook::bench::roofline
