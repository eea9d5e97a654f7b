// FreshRecords: the records this process has just sealed, in memory, so that the archive stage need
// not read back from the buffer what was written to it a moment ago. The buffer stays the truth: an
// entry comes from there, and a record that is not here, or is not what its entry says, is loaded.
// Bounded in bytes; the oldest are forgotten first. I/O thread only.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "core/ports/write_ahead_buffer.hpp"
#include "core/record_id.hpp"
#include "core/sealed_object.hpp"

namespace daybook::core::pipeline {

class FreshRecords {
 public:
  // bytes_max: of stored bytes; 0 keeps nothing.
  explicit FreshRecords(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Before the append: a pipeline may meet the entry earlier than the append has its answer.
  void keep(std::shared_ptr<const SealedObject> object);
  void forget(const RecordId& id);
  // Hands the record out, once; null where it is not here or the entry is of other bytes.
  [[nodiscard]] std::shared_ptr<const SealedObject> take(const BufferEntry& entry);
  // The same, but it stays here.
  [[nodiscard]] std::shared_ptr<const SealedObject> peek(const BufferEntry& entry) const;

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  using Objects = std::list<std::shared_ptr<const SealedObject>>;

  const std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  Objects objects_;  // oldest first
  std::unordered_map<RecordId, Objects::iterator, RecordIdHash> places_;
};

}  // namespace daybook::core::pipeline
