// RespConnection: one connection to a Redis-compatible server; RespPool: a bounded set of them.
// Commands are written by us, replies read by hiredis' reader, so TCP, Unix sockets and the
// runtime's backend all work alike. I/O thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/resp/command.hpp"
#include "core/resp/reply.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "io/runtime.hpp"
#include "io/stream.hpp"

namespace daybook::io {

struct RespSettings {
  Endpoint endpoint;
  std::string username;
  std::string password;
  std::uint32_t database = 0;
  std::optional<TlsSettings> tls;
  bool is_sentinel = false;  // for the words of errors
  core::Duration connect_timeout = core::Duration::max();
};

class RespConnection {
 public:
  // Connected, authenticated, database selected.
  static core::Task<core::Result<std::unique_ptr<RespConnection>>> open(IoRuntime& runtime,
                                                                        RespSettings settings,
                                                                        core::Deadline deadline);

  // Sends the batch and returns one reply per command; error replies are values here. After a
  // failure the connection is broken: an outcome is unknown once anything was sent.
  core::Task<core::Result<std::vector<core::resp::Reply>>> call(
      const core::resp::CommandBatch& batch, core::Deadline deadline);
  [[nodiscard]] bool broken() const { return broken_; }

  explicit RespConnection(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

 private:
  std::unique_ptr<Stream> stream_;
  core::resp::ReplyReader reader_;
  std::vector<std::byte> received_;
  bool broken_ = false;
};

class RespPool {
 public:
  RespPool(IoRuntime& runtime, RespSettings settings, std::size_t connections_max);

  // A connection of the pool runs the batch; waits for one until the deadline. Broken connections
  // are dropped and all others with them: they led to the same server.
  core::Task<core::Result<std::vector<core::resp::Reply>>> call(
      const core::resp::CommandBatch& batch, core::Deadline deadline);
  // Kept connections are not used again (the server may be another one now).
  void drop_idle();

 private:
  class Lease;
  IoRuntime& runtime_;
  RespSettings settings_;
  std::size_t connections_max_;
  std::size_t in_use_ = 0;
  std::uint64_t generation_ = 0;
  std::vector<std::unique_ptr<RespConnection>> idle_;
  std::unique_ptr<core::Signal> returned_;
};

}  // namespace daybook::io
