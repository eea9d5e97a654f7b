// Plain loopback sockets: what a benchmark needs of them and no more. A wrong call is our bug, so
// it ends the program (CHECK); only receiving has outcomes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "core/units.hpp"

namespace daybook::bench::roofline {

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

[[nodiscard]] Descriptor listen_on_loopback();
[[nodiscard]] std::uint16_t port_of(const Descriptor& listener);
[[nodiscard]] Descriptor accept_from(const Descriptor& listener);
[[nodiscard]] Descriptor connect_to(std::uint16_t port);
void make_nonblocking(const Descriptor& socket);

// Bytes that came; 0 = the peer's end; nothing = none there yet (nonblocking sockets only).
[[nodiscard]] std::optional<std::size_t> receive_some(const Descriptor& socket,
                                                      core::MutableBytes into);
// Bytes that the kernel took; nothing = it takes none now.
[[nodiscard]] std::optional<std::size_t> send_some(const Descriptor& socket, core::Bytes bytes,
                                                   bool more);

// One payload on the wire: its length in 8 bytes, little-endian, and its bytes. The answer is a
// line of kAnswerBytes: "ok " and the SHA-256 in hexadecimal (64 dashes from a server that does
// not hash).
inline constexpr std::size_t kLengthBytes = 8;
inline constexpr std::size_t kAnswerBytes = 68;
[[nodiscard]] std::string answer_line(std::string_view sha256_hex);

}  // namespace daybook::bench::roofline
