// PostgresPool: at most so many connections to one database, made when they are needed and kept. An
// exchange has its connection for itself. I/O thread only.
//
// - A server that does not take a connection is asked again after a second, then two, four, five;
//   who comes meanwhile gets the last error at once, and while it is not known to be well only one
//   asks. So nothing that repeats itself can become a hot loop.
// - A kept connection may have died unnoticed (the server was restarted). An exchange that finds it
//   so is done once more on a fresh one: whoever uses the pool sends only what may happen twice.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "core/ports/runtime.hpp"
#include "storage/postgres_connection.hpp"

namespace daybook::storage {

class PostgresPool {
 public:
  // Called for each new connection before it is used; an Error closes it and counts as a server
  // that does not take connections.
  using Prepare =
      std::function<core::Task<core::Result<void>>(PostgresConnection&, core::Deadline)>;

  PostgresPool(io::IoRuntime& runtime, PostgresSettings settings, Prepare prepare);

  // As PostgresConnection::exchange(). Where every connection stays busy: Code::timeout.
  [[nodiscard]] core::Task<core::Result<PostgresResults>> exchange(PostgresStatements statements,
                                                                   PostgresPipeline pipeline,
                                                                   core::Deadline deadline);

  [[nodiscard]] const PostgresSettings& settings() const { return settings_; }
  // The next exchange makes a connection of its own, which is prepared anew.
  void drop_kept();

 private:
  struct Kept {
    std::unique_ptr<PostgresConnection> connection;
    core::SteadyTime since;
  };
  class Lease;

  core::Task<core::Result<void>> fill(Lease& lease, core::Deadline deadline);
  core::Task<core::Result<void>> make(Lease& lease, core::Deadline deadline);
  void note_failure(const core::Error& error);

  io::IoRuntime& runtime_;
  const PostgresSettings settings_;
  const Prepare prepare_;
  std::unique_ptr<core::Signal> changed_;
  std::deque<Kept> kept_;  // the one used last at the end
  std::size_t in_use_ = 0;
  std::uint64_t generation_ = 0;
  bool well_ = false;  // the last connection that was tried came about
  bool trying_ = false;
  unsigned failures_ = 0;  // in a row
  core::SteadyTime not_before_{};
  core::Error last_error_;
};

}  // namespace daybook::storage
