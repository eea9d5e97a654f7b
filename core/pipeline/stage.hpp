// Stage: one step of a record's way from the buffer to the archive. A stage knows nobody but its
// port; it is idempotent, because after a crash the whole way is walked again.
#pragma once

#include <memory>
#include <string_view>

#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "core/result.hpp"
#include "core/retry.hpp"
#include "core/task.hpp"

namespace daybook::core::pipeline {

// What the stages learn about a record on its way.
struct Passage {
  BufferEntry entry;
  // The envelope that is archived in place of the buffered one; null: that one, as it is.
  std::shared_ptr<const Envelope> transformed;
  // The row of an earlier walk that was transformed: archived and indexed as it says.
  std::shared_ptr<const MetadataRow> indexed;
  OpenedHead head;                // from archive on
  std::uint64_t stored_size = 0;  // of the stored form as it is archived; from archive on
  Sha256 stored_sha256;
  bool alone = false;  // it shares no object with others: it may be what kills the process
  std::string object_key;
  std::uint64_t slice_offset = 0;  // of the stored form in the object
  std::shared_ptr<void>
      in_common;  // what archive shares between records until it is done with them
  ObjectVersion object;
  std::uint32_t archive_attempts = 0;
  std::optional<WallTime> started_at;   // the archive stage's first attempt of this process
  std::optional<WallTime> archived_at;  // the store's confirmation
};

class Stage {
 public:
  virtual ~Stage() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::size_t concurrency() const = 0;
  // How a record waits after this error; null: as the pipeline's settings say.
  [[nodiscard]] virtual const RetryPolicy* retry(const Error& /*error*/) const { return nullptr; }
  // Of all records together. Stages that speak to several targets bound theirs themselves.
  [[nodiscard]] virtual RetryBudget::Settings retry_budget() const { return {}; }
  // One attempt. The caller owns passage and keeps it alive.
  virtual Task<Result<void>> run(Passage& passage) = 0;
  // The pipeline stops: attempts that wait for company go on without.
  virtual void stop() {}
};

}  // namespace daybook::core::pipeline
