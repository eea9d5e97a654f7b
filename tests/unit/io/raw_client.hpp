// RawClient: a blocking socket for a thread beside the runtime, so that a server meets a client
// that shares nothing with it. Every wait ends after ten seconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace daybook::tests {

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }

  // False: the server does not take it any more.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }

  // Whatever comes next; empty at the end of the connection (then ended() tells how).
  std::string receive() {
    std::string part(65536, '\0');
    const ssize_t got = ::recv(socket_, part.data(), part.size(), 0);
    if (got <= 0) {
      ended_orderly_ = got == 0;
      return {};
    }
    part.resize(static_cast<std::size_t>(got));
    return part;
  }
  // Until `mark` has been received (and maybe more).
  std::string receive_until(std::string_view mark) {
    while (received_.find(mark) == std::string::npos) {
      const std::string part = receive();
      if (part.empty()) break;
      received_ += part;
    }
    return std::exchange(received_, {});
  }
  // Until the server ends the connection.
  std::string receive_all() {
    for (std::string part = receive(); !part.empty(); part = receive()) received_ += part;
    return std::exchange(received_, {});
  }
  [[nodiscard]] bool ended_orderly() const { return ended_orderly_; }

  // The peer sees a reset, not an end.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

 private:
  int socket_;
  bool connected_ = false;
  bool ended_orderly_ = false;
  std::string received_;
};

}  // namespace daybook::tests
