// A thread for each connection.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <thread>

#include "bench/roofline/servers.hpp"
#include "bench/roofline/sockets.hpp"
#include "core/block.hpp"
#include "core/digest.hpp"
#include "core/frame.hpp"

namespace daybook::bench::roofline {
namespace {

using core::limits::kBlockBytes;

bool receive_all(const Descriptor& socket, core::MutableBytes into) {
  while (!into.empty()) {
    const auto got = receive_some(socket, into);
    if (!got || *got == 0) return false;
    into = into.subspan(*got);
  }
  return true;
}

// The digest of one payload; nothing when the connection ended within it.
std::optional<std::string> seal_one(const Descriptor& socket, std::uint64_t bytes,
                                    core::MutableBytes block) {
  core::Sha256Hasher hasher;
  while (bytes > 0) {
    const std::size_t length = std::min<std::uint64_t>(bytes, block.size());
    for (std::size_t at = 0; at < length;) {
      const std::size_t piece = std::min(core::limits::kReadBytes, length - at);
      if (!receive_all(socket, block.subspan(at, piece))) return std::nullopt;
      hasher.update(block.subspan(at, piece));
      at += piece;
    }
    static_cast<void>(core::compress_frame(block.first(length), product_level()));
    bytes -= length;
  }
  return hasher.finish().hex();
}

std::optional<std::string> discard_one(const Descriptor& socket, std::uint64_t bytes,
                                       core::MutableBytes block) {
  while (bytes > 0) {
    const std::size_t room = std::min<std::uint64_t>(bytes, core::limits::kReadBytes);
    const auto got = receive_some(socket, block.first(room));
    if (!got || *got == 0) return std::nullopt;
    bytes -= *got;
  }
  return std::string();
}

void serve_connection(const Descriptor& socket, Work work, core::BlockPool& blocks) {
  const auto block = blocks.take();
  const core::MutableBytes room(block.get(), kBlockBytes);
  std::array<std::byte, kLengthBytes> length{};
  while (receive_all(socket, length)) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, length.data(), kLengthBytes);
    const auto digest =
        work == Work::seal ? seal_one(socket, bytes, room) : discard_one(socket, bytes, room);
    if (!digest) return;
    static_cast<void>(send_some(socket, core::as_bytes(answer_line(*digest)), false));
  }
}

}  // namespace

Server thread_per_connection(Work work) {
  return [work](std::size_t connections, const std::function<void(std::uint16_t)>& listening) {
    const Descriptor listener = listen_on_loopback();
    listening(port_of(listener));
    core::BlockPool blocks(connections);
    std::vector<std::thread> threads;
    threads.reserve(connections);
    for (std::size_t accepted = 0; accepted < connections; ++accepted) {
      threads.emplace_back([socket = accept_from(listener), work, &blocks] {
        serve_connection(socket, work, blocks);
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
}

}  // namespace daybook::bench::roofline
