// ScriptedServer: a TCP server on loopback whose every connection runs a script of the test on a
// thread of its own. Plain blocking sockets, sharing no code with what is tested.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace daybook::tests {

// One accepted connection, as a script sees it.
class Peer {
 public:
  explicit Peer(int socket) : socket_(socket) {}
  ~Peer() { ::close(socket_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Up to and with the empty line; empty when the client left.
  std::string read_head() {
    std::size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return "";
    }
    return take(end + 4);
  }
  // Shorter when the client left.
  std::string read_exactly(std::size_t bytes) {
    while (input_.size() < bytes && receive()) {
    }
    return take(bytes);
  }
  // Head and body by Content-Length; the head is empty when the client left.
  std::pair<std::string, std::string> read_request() {
    const std::string head = read_head();
    const std::size_t field = head.find("Content-Length: ");
    if (field == std::string::npos) return {head, ""};
    if (head.find("Expect: 100-continue") != std::string::npos) {
      send("HTTP/1.1 100 Continue\r\n\r\n");
    }
    return {head, read_exactly(std::stoull(head.substr(field + 16)))};
  }
  void send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void reset() const {
    const linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  void stop_sending() const { ::shutdown(socket_, SHUT_WR); }
  // Waits for the client to leave, throwing away what it sends.
  void drain() {
    while (receive()) input_.clear();
  }
  // True: something came or the client left.
  [[nodiscard]] bool readable_within(std::chrono::milliseconds time) const {
    pollfd waiting{socket_, POLLIN, 0};
    return ::poll(&waiting, 1, static_cast<int>(time.count())) == 1;
  }

 private:
  std::string take(std::size_t bytes) {
    std::string taken = input_.substr(0, bytes);
    input_.erase(0, taken.size());
    return taken;
  }
  bool receive() {
    char part[65536];
    const ssize_t received = ::recv(socket_, part, sizeof part, 0);
    if (received <= 0) return false;
    input_.append(part, static_cast<std::size_t>(received));
    return true;
  }

  int socket_;
  std::string input_;
};

class ScriptedServer {
 public:
  using Script = std::function<void(Peer&)>;

  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, plain, size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, plain, &size) != 0) {
      throw std::runtime_error("cannot listen on loopback");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_loop(); });
  }
  // Clients must have closed their connections, or their scripts must end by themselves.
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void accept_loop() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      ++connections_;
      threads_.emplace_back([this, socket] {
        Peer peer(socket);
        script_(peer);
      });
    }
  }

  Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::vector<std::thread> threads_;  // only the acceptor adds, only the destructor reads
  std::thread acceptor_;
};

}  // namespace daybook::tests
