// One measure over loopback: a forked client with N connections sends payloads, each as soon as the
// answer to the one before it came, to a server that runs in this process.
//
// - The clock starts when every connection had its first answer (to a body of at most 1 MiB, which
//   is not counted), and stops with the last answer. No body is started after `seconds`.
// - Each answer is checked: a server that hashes must have the right digest.
// - CPU seconds are of the process, so client and server are told apart. On loopback the kernel
//   does much of the receiving in the sender's system call.
// It forks: no other thread may hold a lock when exchange() is called.
#pragma once

#include <functional>

#include "bench/payload_source.hpp"
#include "core/result.hpp"

namespace daybook::bench::roofline {

struct Exchange {
  std::uint64_t bytes = 0;
  std::uint64_t bodies = 0;
  double seconds = 0;
  double client_cpu = 0;
  double server_cpu = 0;

  [[nodiscard]] double mb_per_s() const;
};

// Accepts so many connections and answers their payloads; calls listening(port) once, when it can
// be connected to, and returns when all connections have ended.
using Server =
    std::function<void(std::size_t connections, std::function<void(std::uint16_t port)> listening)>;

[[nodiscard]] core::Result<Exchange> exchange(const PayloadSource& payloads,
                                              std::size_t connections, double seconds, bool hashes,
                                              const Server& server);

}  // namespace daybook::bench::roofline
