// SpoolReplay: brings spooled records to the buffer, oldest first, one at a time, whenever the
// buffer is in order. I/O thread only.
#pragma once

#include <memory>

#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "storage/spool.hpp"

namespace daybook::storage {

class SpoolReplay {
 public:
  SpoolReplay(core::Runtime& runtime, core::Workers& workers, Spool& spool,
              core::WriteAheadBuffer& buffer, core::Duration append_timeout);

  core::Task<> run();  // until close()
  void close();
  [[nodiscard]] std::uint64_t replayed() const { return replayed_; }
  // Spooled records whose key turned out to be another record's: both are kept.
  [[nodiscard]] std::uint64_t contested() const { return contested_; }

 private:
  // An error means: not now.
  core::Task<core::Result<void>> replay(Spool::Spooled where);

  core::Runtime& runtime_;
  core::Workers& workers_;
  Spool& spool_;
  core::WriteAheadBuffer& buffer_;
  const core::Duration append_timeout_;
  std::unique_ptr<core::Signal> stop_;
  std::uint64_t replayed_ = 0;
  std::uint64_t contested_ = 0;
  bool closing_ = false;
};

}  // namespace daybook::storage
