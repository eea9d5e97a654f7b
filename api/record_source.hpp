// RecordSource: what a record's payload comes from: the body of a request (request_body.hpp), or
// memory. Ingest reads it straight into the blocks that are hashed and compressed. I/O thread only.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/result.hpp"
#include "core/sealer.hpp"
#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::api {

class RecordSource {
 public:
  virtual ~RecordSource() = default;
  // No more payload bytes than these come; nullopt = memory is charged as they do.
  [[nodiscard]] virtual std::optional<std::uint64_t> bytes_max() const = 0;
  // Waits until so many bytes, or all of fewer, have come: before that nothing is given to them.
  virtual core::Task<core::Result<void>> arrives(std::size_t bytes) = 0;
  // Payload bytes into `into`, which is not empty; 0 = the payload is complete.
  virtual core::Task<core::Result<std::size_t>> read(core::MutableBytes into) = 0;
  // The most bytes it may give, where a record's payload may have so many.
  [[nodiscard]] virtual std::uint64_t size_limit(std::uint64_t payload_max) const {
    return payload_max;
  }
  // Memory it takes at present beside the blocks; charged where bytes_max() is not known.
  [[nodiscard]] virtual std::uint64_t memory() const { return 0; }
};

struct Upload;

// One that says only behind its last byte what the record is.
class LateSource : public RecordSource {
 public:
  // The payload was sealed as read() gave it, or as far as it came (received is why no further).
  // Returns what is to be stored, the same or another form of it, with the upload's attributes and
  // key; an error is the record's refusal.
  virtual core::Task<core::Result<core::PayloadSealer::Sealed>> settle(
      Upload& upload, core::Result<void> received, core::PayloadSealer::Sealed sealed) = 0;
};

// Bytes that somebody else keeps alive.
class MemorySource final : public RecordSource {
 public:
  explicit MemorySource(core::Bytes payload) : size_(payload.size()), rest_(payload) {}

  [[nodiscard]] std::optional<std::uint64_t> bytes_max() const override { return size_; }
  core::Task<core::Result<void>> arrives(std::size_t /*bytes*/) override {
    co_return core::Result<void>{};
  }
  core::Task<core::Result<std::size_t>> read(core::MutableBytes into) override {
    const std::size_t bytes = std::min(into.size(), rest_.size());
    if (bytes != 0) std::memcpy(into.data(), rest_.data(), bytes);
    rest_ = rest_.subspan(bytes);
    co_return bytes;
  }

 private:
  std::size_t size_;
  core::Bytes rest_;
};

}  // namespace daybook::api
