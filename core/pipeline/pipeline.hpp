// Pipeline: takes entries from the buffer and walks each through the stages.
//
// - At most records_in_flight records are on their way; the reader waits beyond it.
// - A stage's attempt that fails is repeated with growing waits; a record whose attempts are used
// up,
//   or that can never succeed, is parked with its reason. Records parked by an outage are tried
//   again every parked_retry without anybody asking.
// - Entries in hand are renewed every third of the lease; a dead owner's entries are claimed after
// it.
// - Nothing is released unless every stage before it succeeded. stop() leaves unfinished records
// where
//   they are: in the buffer.
// I/O thread only.
#pragma once

#include <deque>
#include <memory>
#include <random>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/budget.hpp"
#include "core/pipeline/stage.hpp"
#include "core/ports/pipeline_observer.hpp"
#include "core/ports/runtime.hpp"
#include "core/retry.hpp"

namespace daybook::core::pipeline {

struct PipelineSettings {
  std::size_t records_in_flight = 64;
  Duration lease{};
  Duration parked_retry{};
  RetryPolicy retry;
  std::uint64_t seed = 0;  // of the jitter
};

class Pipeline {
 public:
  Pipeline(Runtime& runtime, WriteAheadBuffer& buffer, std::vector<Stage*> stages,
           PipelineObserver& observer, PipelineSettings settings);

  void start();
  // No new records are taken; waits between attempts end.
  void stop();
  // True when nothing is in hand any more.
  Task<bool> drained(Deadline deadline);

  // The stage a record of this process is in; empty where it is not in hand.
  [[nodiscard]] std::string_view stage_of(const RecordId& id) const;
  [[nodiscard]] std::size_t in_flight(std::string_view stage) const;

 private:
  struct Runner {
    Stage* stage;
    Budget slots;
    std::size_t records = 0;
  };
  struct InHand {
    BufferEntry entry;
    Runner* runner = nullptr;
  };

  Task<> read_loop();
  Task<> lease_loop();
  Task<> parked_loop();
  Task<> drive(BufferEntry entry);
  Task<Result<void>> run_stage(Runner& runner, Passage& passage);
  Task<> park(const Passage& passage, std::string_view stage, Error error, std::uint32_t attempts);
  Task<bool> take_own_pending();
  void enqueue(std::vector<BufferEntry> entries);
  void start_queued();
  // Sleeps, or ends early when the pipeline stops.
  Task<> pause(Duration duration);
  [[nodiscard]] double random();

  Runtime& runtime_;
  WriteAheadBuffer& buffer_;
  PipelineObserver& observer_;
  PipelineSettings settings_;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::unordered_map<RecordId, InHand, RecordIdHash> in_hand_;
  std::deque<BufferEntry> queue_;  // taken from the buffer, not yet started
  std::unordered_set<RecordId, RecordIdHash> queued_;
  std::unique_ptr<Signal> changed_;
  std::unique_ptr<Signal> stopped_;
  std::minstd_rand random_;
  std::size_t loops_ = 0;
  bool stopping_ = false;
};

}  // namespace daybook::core::pipeline
