// The three stages, in the order that is the safety argument: the object is confirmed by the store,
// then its row is committed, then its buffer entry may go.
#pragma once

#include <string>

#include "core/group_commit.hpp"
#include "core/pipeline/fresh_records.hpp"
#include "core/pipeline/segment_writer.hpp"
#include "core/pipeline/stage.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"

namespace daybook::core::pipeline {

[[nodiscard]] MetadataRow row_of(const Passage& passage, WallTime indexed_at);

// Buffer -> object store, each record as an object or, with segments, small ones together. Checks
// length and digest of what the buffer held before it goes on; a fresh record is what was sealed,
// and the store checks the digest of what it writes.
class ArchiveStage final : public Stage {
 public:
  struct Settings {
    std::string prefix;
    std::size_t concurrency = 8;  // objects being written at a time
    Duration timeout{};
    SegmentSettings segments;
    std::size_t records_max = 0;  // with segments: attempts at a time, most of them waiting
  };
  ArchiveStage(Runtime& runtime, Workers& workers, WriteAheadBuffer& buffer, FreshRecords& fresh,
               ObjectStore& store, Settings settings);

  [[nodiscard]] std::string_view name() const override { return "archive"; }
  [[nodiscard]] std::size_t concurrency() const override {
    return segments_ ? settings_.records_max : settings_.concurrency;
  }
  Task<Result<void>> run(Passage& passage) override;
  void stop() override {
    if (segments_) segments_->stop();
  }

 private:
  // As it is to be archived, and what the passage says of it.
  Task<Result<StoredRecord>> fetch(Passage& passage, Deadline deadline);
  Task<Result<StoredRecord>> fetch_original(const BufferEntry& entry, Deadline deadline);
  Task<Result<void>> put_alone(Passage& passage, StoredRecord stored, Deadline deadline);
  Task<Result<void>> put_together(Passage& passage, Budget::Share memory);

  Runtime& runtime_;
  Workers& workers_;
  WriteAheadBuffer& buffer_;
  FreshRecords& fresh_;
  ObjectStore& store_;
  Settings settings_;
  Budget slots_;                             // of loads and objects
  std::unique_ptr<SegmentWriter> segments_;  // null: every record is an object
};

// Object -> metadata row, committed in batches.
class IndexStage final : public Stage {
 public:
  IndexStage(Runtime& runtime, MetadataStore& metadata, std::size_t batch_max, Duration timeout);

  [[nodiscard]] std::string_view name() const override { return "index"; }
  [[nodiscard]] std::size_t concurrency() const override { return 4 * batch_max_; }
  Task<Result<void>> run(Passage& passage) override;

 private:
  Runtime& runtime_;
  std::size_t batch_max_;
  GroupCommit<MetadataRow> rows_;
};

// The entry leaves the buffer, in batches.
class ReleaseStage final : public Stage {
 public:
  ReleaseStage(Runtime& runtime, WriteAheadBuffer& buffer, std::size_t batch_max, Duration timeout);

  [[nodiscard]] std::string_view name() const override { return "release"; }
  [[nodiscard]] std::size_t concurrency() const override { return 4 * batch_max_; }
  Task<Result<void>> run(Passage& passage) override;

 private:
  std::size_t batch_max_;
  GroupCommit<BufferEntry> entries_;
};

}  // namespace daybook::core::pipeline
