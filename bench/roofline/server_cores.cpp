// A thread for each core, all waiting on one epoll: whichever is free takes the next connection
// that has bytes (EPOLLONESHOT: no other thread touches it meanwhile), so that the cores stay busy
// at any number of connections.
//
// A thread that filled a block looks for a second one before it goes on: two are hashed side by
// side in two thirds of the time (core/sha256_pair.hpp). It holds at most one block back, and only
// while other connections have bytes.
#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "bench/roofline/servers.hpp"
#include "bench/roofline/sockets.hpp"
#include "core/block.hpp"
#include "core/check.hpp"
#include "core/digest.hpp"
#include "core/frame.hpp"

namespace daybook::bench::roofline {
namespace {

using core::limits::kBlockBytes;

struct Connection {
  Descriptor socket;
  std::array<std::byte, kLengthBytes> length{};
  std::size_t length_filled = 0;
  std::uint64_t to_come = 0;  // bytes of the body that are not received yet
  std::shared_ptr<std::byte> block;
  std::size_t in_block = 0;
  core::Sha256Hasher hasher;
  // What one thread left here the next one sees; epoll's own order is none that C++ knows of.
  std::atomic<bool> handed_on{false};

  [[nodiscard]] core::Bytes filled() const { return {block.get(), in_block}; }
};

enum class Received { some, block, end };

class CoreServer {
 public:
  CoreServer(Work work, std::size_t connections)
      : work_(work),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        ended_(::eventfd(0, EFD_CLOEXEC)),
        connections_(connections),
        open_(connections),
        blocks_(connections) {}

  void serve(std::size_t threads, const std::function<void(std::uint16_t)>& listening) {
    // Stays readable once it is written to, so that it wakes every thread.
    epoll_event event{EPOLLIN, {.ptr = nullptr}};
    CHECK(::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, ended_.number(), &event) == 0);
    const Descriptor listener = listen_on_loopback();
    listening(port_of(listener));
    std::vector<std::thread> pool;
    pool.reserve(threads);
    for (std::size_t thread = 0; thread < threads; ++thread) pool.emplace_back([this] { work(); });
    for (Connection& connection : connections_) {
      connection.socket = accept_from(listener);
      make_nonblocking(connection.socket);
      watch(connection, EPOLL_CTL_ADD);
    }
    for (std::thread& thread : pool) thread.join();
  }

 private:
  void watch(Connection& connection, int operation) {
    connection.handed_on.store(true, std::memory_order_release);
    epoll_event event{EPOLLIN | EPOLLONESHOT, {.ptr = &connection}};
    CHECK(::epoll_ctl(epoll_.number(), operation, connection.socket.number(), &event) == 0);
  }

  void work() {
    Connection* held = nullptr;  // its block is full, or the last of its body
    for (;;) {
      epoll_event event{};
      const int ready = ::epoll_wait(epoll_.number(), &event, 1, held == nullptr ? -1 : 0);
      if (ready <= 0) {
        if (held != nullptr) finish_block(*std::exchange(held, nullptr));
        continue;
      }
      if (event.data.ptr == nullptr) return;
      auto& connection = *static_cast<Connection*>(event.data.ptr);
      CHECK(connection.handed_on.exchange(false, std::memory_order_acquire));
      switch (receive(connection)) {
        case Received::some:
          watch(connection, EPOLL_CTL_MOD);
          break;
        case Received::end:
          end_one();
          break;
        case Received::block:
          if (work_ == Work::discard) {
            finish_block(connection);
          } else if (held == nullptr) {
            held = &connection;
          } else {
            finish_pair(*std::exchange(held, nullptr), connection);
          }
      }
    }
  }

  // Until the block is full, the body ends, or no more bytes are there.
  Received receive(Connection& connection) {
    while (connection.length_filled < kLengthBytes) {
      const core::MutableBytes length(connection.length);
      const auto got = receive_some(connection.socket, length.subspan(connection.length_filled));
      if (!got) return Received::some;
      if (*got == 0) return Received::end;
      connection.length_filled += *got;
      if (connection.length_filled == kLengthBytes) {
        std::memcpy(&connection.to_come, connection.length.data(), kLengthBytes);
        connection.hasher = core::Sha256Hasher();
        connection.block = blocks_.take();
      }
    }
    while (connection.to_come > 0 && connection.in_block < kBlockBytes) {
      const std::size_t room = std::min<std::uint64_t>(
          {connection.to_come, kBlockBytes - connection.in_block, core::limits::kReadBytes});
      // Bytes that are thrown away may as well always go to the same place.
      const std::size_t at = work_ == Work::discard ? 0 : connection.in_block;
      const auto got = receive_some(connection.socket, {connection.block.get() + at, room});
      if (!got) return Received::some;
      if (*got == 0) return Received::end;
      connection.in_block += *got;
      connection.to_come -= *got;
    }
    return Received::block;
  }

  void finish_pair(Connection& first, Connection& second) {
    core::Sha256Hasher::update_pair(first.hasher, first.filled(), second.hasher, second.filled());
    compress(second);  // what was received last is the likelier to be in the cache
    compress(first);
    go_on(second);
    go_on(first);
  }

  void finish_block(Connection& connection) {
    if (work_ == Work::seal) {
      connection.hasher.update(connection.filled());
      compress(connection);
    }
    go_on(connection);
  }

  static void compress(Connection& connection) {
    static_cast<void>(core::compress_frame(connection.filled(), product_level()));
  }

  void go_on(Connection& connection) {
    connection.in_block = 0;
    if (connection.to_come == 0) {
      connection.block.reset();
      connection.length_filled = 0;
      const std::string digest = work_ == Work::seal ? connection.hasher.finish().hex() : "";
      static_cast<void>(send_some(connection.socket, core::as_bytes(answer_line(digest)), false));
    }
    watch(connection, EPOLL_CTL_MOD);
  }

  // The sockets are closed together, when no thread is left that could be using one.
  void end_one() {
    if (--open_ > 0) return;
    const std::uint64_t one = 1;
    CHECK(::write(ended_.number(), &one, sizeof one) == sizeof one);
  }

  const Work work_;
  const Descriptor epoll_;
  const Descriptor ended_;
  std::vector<Connection> connections_;
  std::atomic<std::size_t> open_;
  core::BlockPool blocks_;
};

}  // namespace

Server thread_per_core(Work work, std::size_t threads) {
  return [work, threads](std::size_t connections,
                         const std::function<void(std::uint16_t)>& listening) {
    CoreServer(work, connections).serve(threads, listening);
  };
}

}  // namespace daybook::bench::roofline
