// The product's own way of a body through one I/O thread and its workers, without HTTP, Redis and
// the trail.
#include <array>
#include <cstring>

#include "bench/roofline/servers.hpp"
#include "bench/roofline/sockets.hpp"
#include "core/check.hpp"
#include "core/sealer.hpp"
#include "io/runtime.hpp"
#include "io/stream.hpp"
#include "io/worker_pool.hpp"

namespace daybook::bench::roofline {
namespace {

struct Parts {
  Parts(std::size_t connections, std::size_t threads)
      : workers(runtime, threads, "roofline"),
        blocks(connections * (core::limits::kBlocksInFlight + 1)) {}

  io::IoRuntime runtime;
  io::WorkerPool workers;
  core::BlockPool blocks;
  core::HashLines lines;
};

core::Task<bool> fill(io::Stream& stream, core::MutableBytes into) {
  while (!into.empty()) {
    const auto got = co_await stream.read_some(into, core::Deadline::max());
    if (!got) co_return false;
    into = into.subspan(*got);
  }
  co_return true;
}

core::Task<> serve_stream(Parts& parts, std::unique_ptr<io::Stream> stream) {
  std::array<std::byte, kLengthBytes> length{};
  while (co_await fill(*stream, length)) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, length.data(), kLengthBytes);
    core::PayloadSealer sealer(parts.runtime, parts.workers, parts.blocks, parts.lines,
                               product_level());
    while (bytes > 0) {
      co_await sealer.make_room();
      const core::MutableBytes room = sealer.room();
      const std::size_t most =
          std::min<std::uint64_t>({room.size(), bytes, core::limits::kReadBytes});
      const auto got = co_await stream->read_some(room.first(most), core::Deadline::max());
      if (!got) co_return;
      sealer.filled(*got);
      bytes -= *got;
    }
    const auto sealed = co_await sealer.finish();
    const std::string answer = answer_line(sealed.sha256.hex());
    const auto written =
        co_await stream->write_all({core::as_bytes(answer)}, core::Deadline::max());
    if (!written) co_return;
  }
}

core::Task<> accept_streams(Parts& parts, std::unique_ptr<io::Listener> listener,
                            std::size_t connections) {
  for (std::size_t accepted = 0; accepted < connections; ++accepted) {
    auto stream = co_await listener->accept();
    CHECK(stream.has_value());
    parts.runtime.spawn(serve_stream(parts, std::move(*stream)));
  }
}

}  // namespace

Server product_parts(std::size_t threads) {
  return [threads](std::size_t connections, const std::function<void(std::uint16_t)>& listening) {
    Parts parts(connections, threads);
    auto listener = io::listen(parts.runtime, {.host = "127.0.0.1", .port = 0, .unix_path = {}});
    CHECK(listener.has_value());
    listening((*listener)->local().port);
    parts.runtime.spawn(accept_streams(parts, std::move(*listener), connections));
    parts.runtime.run();
  };
}

}  // namespace daybook::bench::roofline
