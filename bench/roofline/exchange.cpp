#include "bench/roofline/exchange.hpp"

#include <thread>

#include <sys/wait.h>

#include <fmt/format.h>

#include "bench/roofline/clock.hpp"
#include "bench/roofline/scratch_folder.hpp"
#include "bench/roofline/sender.hpp"
#include "bench/roofline/sockets.hpp"
#include "core/check.hpp"

namespace daybook::bench::roofline {
namespace {

using core::Result;

struct Pipe {
  Descriptor read, write;
};

Pipe make_pipe() {
  int ends[2] = {-1, -1};
  CHECK(::pipe(ends) == 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// False: the writer's end came first.
bool read_exactly(const Descriptor& from, void* into, std::size_t bytes) {
  auto* at = static_cast<char*>(into);
  while (bytes > 0) {
    const ssize_t got = ::read(from.number(), at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

// A server whose client died would wait for its connections for ever, and its threads cannot be
// stopped from outside: the run ends here.
[[noreturn]] void sender_failed() {
  fmt::print(stderr, "roofline: the sending process ended without a result\n");
  std::_Exit(1);
}

}  // namespace

double Exchange::mb_per_s() const {
  return seconds > 0 ? megabytes(bytes) / seconds : 0;
}

Result<Exchange> exchange(const PayloadSource& payloads, std::size_t connections, double seconds,
                          bool hashes, const Server& server) {
  Pipe to_sender = make_pipe();
  Pipe from_sender = make_pipe();
  const pid_t sender = ::fork();
  CHECK(sender >= 0);
  if (sender == 0) {
    become_child();
    to_sender.write = Descriptor();
    std::uint16_t port = 0;
    // No port: the parent is gone.
    if (!read_exactly(to_sender.read, &port, sizeof port)) std::_Exit(1);
    send_payloads(payloads, port, connections, seconds, hashes, from_sender.write.number());
    std::_Exit(0);
  }
  from_sender.write = Descriptor();
  SenderCount count;
  double server_cpu = 0;
  std::thread listener([&] {
    char started = 0;
    if (!read_exactly(from_sender.read, &started, 1)) sender_failed();
    const double before = cpu_seconds();
    if (!read_exactly(from_sender.read, &count, sizeof count)) sender_failed();
    server_cpu = cpu_seconds() - before;
  });
  server(connections, [&](std::uint16_t port) {
    CHECK(::write(to_sender.write.number(), &port, sizeof port) == sizeof port);
  });
  listener.join();
  int status = 0;
  CHECK(::waitpid(sender, &status, 0) == sender);
  if (count.wrong > 0) {
    return core::fail(core::Code::internal, core::Origin::self, core::Retry::never,
                      fmt::format("{} answers were wrong or missing", count.wrong));
  }
  return Exchange{count.bytes, count.bodies, count.seconds, count.cpu, server_cpu};
}

}  // namespace daybook::bench::roofline
