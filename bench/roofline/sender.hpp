// The client of an exchange: one thread, N connections, no copy of its own. Runs in a process of
// its own and tells the parent over a pipe when its clock started and what it counted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bench/payload_source.hpp"

namespace daybook::bench::roofline {

inline constexpr char kClockStarted = 'b';

struct SenderCount {
  std::uint64_t bytes = 0;
  std::uint64_t bodies = 0;
  std::uint64_t wrong = 0;  // answers that were not the expected line, and connections that ended
  double seconds = 0;
  double cpu = 0;
};

// Writes kClockStarted and then a SenderCount to the descriptor.
void send_payloads(const PayloadSource& payloads, std::uint16_t port, std::size_t connections,
                   double seconds, bool hashes, int report);

}  // namespace daybook::bench::roofline
