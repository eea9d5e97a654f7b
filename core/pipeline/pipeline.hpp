// Pipeline: takes entries from the buffer and walks each through the stages.
//
// - At most records_in_flight records are on their way; the reader waits beyond it.
// - A stage's attempt that fails is repeated with growing waits; a record whose attempts are used
// up,
//   or that can never succeed, is parked with its reason. Records parked by an outage are tried
//   again every parked_retry without anybody asking.
// - What a stage's target refuses to all (wrong key, no such bucket) is no record's fault: it
// counts
//   as nobody's attempt, records wait in the buffer, and one of them at a time tries (TargetGate).
// - Entries in hand are renewed every third of the lease; a dead owner's entries are claimed after
// it.
// - Nothing is released unless every stage before it succeeded. stop() leaves unfinished records
// where
//   they are: in the buffer.
// - A record that brings the process down is found and parked (pipeline_suspects.cpp).
// I/O thread only.
#pragma once

#include <deque>
#include <memory>
#include <optional>
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
  std::uint32_t starts_max = 5;
  RetryPolicy retry;
  std::uint64_t seed = 0;  // of the jitter
};

class Pipeline {
 public:
  Pipeline(Runtime& runtime, WriteAheadBuffer& buffer, const std::vector<Stage*>& stages,
           PipelineObserver& observer, PipelineSettings settings);

  void start();
  // No new records are taken; waits between attempts end.
  void stop();
  // True when nothing is in hand any more. Either way the buffer is told that this process did not
  // die with what it leaves unfinished.
  Task<bool> drained(Deadline deadline);

  // The stage a record of this process is in; empty where it is not in hand.
  [[nodiscard]] std::string_view stage_of(const RecordId& id) const;
  // Names, in order.
  [[nodiscard]] std::vector<std::string_view> stages() const;
  [[nodiscard]] std::size_t in_flight(std::string_view stage) const;

 private:
  struct Runner {
    Stage* stage;
    Budget slots;
    TargetGate gate;
    std::size_t records = 0;
  };
  struct InHand {
    BufferEntry entry;
    Runner* runner = nullptr;
    std::uint32_t starts = 1;  // as the buffer has it
    bool suspect = false;      // a process died while it had this record
    bool counted = true;       // starts holds the start that is going on
    bool seated = false;       // a suspect whose turn it is
    bool settled = false;      // released or parked
  };

  Task<> read_loop();
  Task<> lease_loop();
  Task<> parked_loop();
  Task<> drive(RecordId id);
  Task<bool> walk(InHand& hand);
  Task<Result<void>> run_stage(Runner& runner, InHand& hand, Passage& passage);
  Task<std::optional<Budget::Share>> begin_attempt(Runner& runner, InHand& hand, bool retry);
  void tell_gate(Runner& runner, const Result<void>& done, bool retry);
  Task<bool> park(InHand& hand, std::string_view stage, Error error, std::uint32_t attempts);
  Task<bool> take_own_pending();
  void enqueue(std::vector<BufferEntry> entries);
  void enqueue(InHand hand);
  void start_queued();
  void start(InHand hand);

  // --- suspects ---
  Task<bool> take_returned(std::vector<BufferEntry> entries);
  void start_suspect();
  Task<std::optional<Budget::Share>> may_attempt(Runner& runner, InHand& hand);
  Task<bool> take_seat(InHand& hand);
  Task<> survived(InHand& hand);
  void leave_seat(InHand& hand);
  Task<bool> note_start(const InHand& hand, std::uint32_t starts);
  Task<bool> park_poison(InHand& hand);
  void leave_unfinished(InHand hand);
  Task<> give_back();

  // Sleeps, or ends early when the pipeline stops.
  Task<> pause(Duration duration);
  [[nodiscard]] double random();

  Runtime& runtime_;
  WriteAheadBuffer& buffer_;
  PipelineObserver& observer_;
  PipelineSettings settings_;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::unordered_map<RecordId, InHand, RecordIdHash> in_hand_;
  std::deque<InHand> queue_;                           // taken from the buffer, not yet started
  std::vector<InHand> suspects_;                       // the same, of a process that died
  std::unordered_set<RecordId, RecordIdHash> queued_;  // ids of both
  std::unordered_map<RecordId, InHand, RecordIdHash> let_go_;  // pending, not in hand
  std::vector<InHand> unfinished_;                             // left by stop()
  std::size_t attempts_running_ = 0;
  bool seat_taken_ = false;  // by the one suspect whose turn it is
  bool trial_ = false;       // it has its last start, and nothing runs beside it
  std::unique_ptr<Signal> changed_;
  std::unique_ptr<Signal> stopped_;
  std::minstd_rand random_;
  std::size_t loops_ = 0;
  bool stopping_ = false;
};

}  // namespace daybook::core::pipeline
