#include "core/pipeline/pipeline.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/faults.hpp"

namespace daybook::core::pipeline {
namespace {

constexpr Duration kReadWait = std::chrono::milliseconds(500);
constexpr Duration kAwayPause = std::chrono::milliseconds(50);
constexpr Duration kTroublePause = std::chrono::milliseconds(500);
constexpr Duration kBufferTimeout = std::chrono::seconds(10);
constexpr std::size_t kClaimMax = 100;

// Who was refused lets the others have the next try: they may not be.
constexpr Duration kAfterOthers = std::chrono::milliseconds(50);

}  // namespace

Pipeline::Pipeline(Runtime& runtime, WriteAheadBuffer& buffer, const std::vector<Stage*>& stages,
                   PipelineObserver& observer, PipelineSettings settings)
    : runtime_(runtime),
      buffer_(buffer),
      observer_(observer),
      settings_(settings),
      changed_(runtime.make_signal()),
      stopped_(runtime.make_signal()),
      random_(static_cast<std::minstd_rand::result_type>(settings.seed)) {
  for (Stage* stage : stages) {
    runners_.push_back(
        std::make_unique<Runner>(stage, Budget(runtime, stage->concurrency()),
                                 TargetGate(settings.retry.longest, stage->retry_budget())));
  }
}

void Pipeline::start() {
  loops_ = 3;
  runtime_.spawn(read_loop());
  runtime_.spawn(lease_loop());
  runtime_.spawn(parked_loop());
}

void Pipeline::stop() {
  stopping_ = true;
  for (const auto& runner : runners_) runner->stage->stop();
  for (InHand& hand : queue_) leave_unfinished(std::move(hand));
  queue_.clear();
  suspects_.clear();  // not started since they came back
  queued_.clear();
  stopped_->notify_all();
  changed_->notify_all();
}

Task<bool> Pipeline::drained(Deadline deadline) {
  const auto done = [this] { return in_hand_.empty() && loops_ == 0; };
  while (!done() && runtime_.steady_now() < deadline) co_await changed_->wait(deadline);
  co_await give_back();
  co_return done();
}

std::string_view Pipeline::stage_of(const RecordId& id) const {
  const auto found = in_hand_.find(id);
  if (found == in_hand_.end() || found->second.runner == nullptr) return {};
  return found->second.runner->stage->name();
}

std::vector<std::string_view> Pipeline::stages() const {
  std::vector<std::string_view> names;
  for (const auto& runner : runners_) names.push_back(runner->stage->name());
  return names;
}

std::size_t Pipeline::in_flight(std::string_view stage) const {
  for (const auto& runner : runners_) {
    if (runner->stage->name() == stage) return runner->records;
  }
  return 0;
}

Task<> Pipeline::pause(Duration duration) {
  if (!stopping_) co_await stopped_->wait(runtime_.steady_now() + duration);
}

double Pipeline::random() {
  return std::uniform_real_distribution<>(0.0, 1.0)(random_);
}

// --- taking entries ---

Task<> Pipeline::read_loop() {
  bool took_own = false;
  while (!stopping_) {
    // A server that is away is its own checker's trouble. One that merely breaks a promise to
    // ingest (say, it runs without fsync) is drained all the same.
    if (const auto health = buffer_.health(); !health && health.error().code == Code::unavailable) {
      co_await pause(kAwayPause);
      continue;
    }
    if (!took_own) {
      took_own = co_await take_own_pending();
      if (!took_own) co_await pause(kTroublePause);
      continue;
    }
    start_queued();
    if (in_hand_.size() >= settings_.records_in_flight) {
      co_await changed_->wait(runtime_.steady_now() + kReadWait);
      continue;
    }
    auto entries = co_await buffer_.read(settings_.records_in_flight - in_hand_.size(), kReadWait);
    if (entries) {
      enqueue(std::move(*entries));
    } else {
      observer_.on_trouble("reading the buffer", entries.error());
      co_await pause(kTroublePause);
    }
  }
  --loops_;
  changed_->notify_all();
}

Task<bool> Pipeline::take_own_pending() {
  auto entries = co_await buffer_.read_own_pending(runtime_.steady_now() + kBufferTimeout);
  if (!entries) {
    observer_.on_trouble("reading this node's unfinished entries", entries.error());
    co_return false;
  }
  co_return co_await take_returned(std::move(*entries));
}

void Pipeline::enqueue(std::vector<BufferEntry> entries) {
  for (BufferEntry& entry : entries) {
    let_go_.erase(entry.id);
    enqueue(InHand{.entry = std::move(entry)});
  }
  start_queued();
}

void Pipeline::enqueue(InHand hand) {
  if (in_hand_.contains(hand.entry.id)) return;
  if (stopping_) return leave_unfinished(std::move(hand));
  if (!queued_.insert(hand.entry.id).second) return;
  if (hand.suspect) {
    suspects_.push_back(std::move(hand));
  } else {
    queue_.push_back(std::move(hand));
  }
}

void Pipeline::start_queued() {
  start_suspect();
  while (!queue_.empty() && in_hand_.size() < settings_.records_in_flight) {
    InHand hand = std::move(queue_.front());
    queue_.pop_front();
    start(std::move(hand));
  }
}

void Pipeline::start(InHand hand) {
  const RecordId id = hand.entry.id;
  queued_.erase(id);
  in_hand_.emplace(id, std::move(hand));
  runtime_.spawn(drive(id));
}

Task<> Pipeline::lease_loop() {
  while (!stopping_) {
    co_await pause(settings_.lease / 3);
    if (stopping_) break;
    std::vector<BufferEntry> mine;
    mine.reserve(queue_.size() + suspects_.size() + in_hand_.size());
    for (const InHand& hand : queue_) mine.push_back(hand.entry);
    for (const InHand& hand : suspects_) mine.push_back(hand.entry);
    for (const auto& [id, hand] : in_hand_) mine.push_back(hand.entry);
    const Deadline deadline = runtime_.steady_now() + kBufferTimeout;
    const auto renewed = co_await buffer_.renew(std::move(mine), deadline);
    if (!renewed) observer_.on_trouble("renewing leases", renewed.error());
    if (!renewed || stopping_) continue;
    auto claimed = co_await buffer_.claim(settings_.lease, kClaimMax, deadline);
    if (!claimed) {
      observer_.on_trouble("claiming entries of dead owners", claimed.error());
    } else if (!claimed->empty()) {
      observer_.on_claimed(claimed->size());
      // Where the counts cannot be read they stay ours, and are claimed again after the lease.
      co_await take_returned(std::move(*claimed));
    }
  }
  --loops_;
  changed_->notify_all();
}

Task<> Pipeline::parked_loop() {
  while (!stopping_) {
    co_await pause(settings_.parked_retry);
    if (stopping_) break;
    const Deadline deadline = runtime_.steady_now() + kBufferTimeout;
    const auto parked = co_await buffer_.parked(deadline);
    if (!parked) continue;  // the reader reports the same trouble
    std::vector<RecordId> again;
    const WallTime before =
        runtime_.now() - std::chrono::duration_cast<WallTime::duration>(settings_.parked_retry);
    for (const ParkedRecord& record : *parked) {
      if (record.retryable && record.parked_at <= before) again.push_back(record.entry.id);
      if (again.size() >= settings_.records_in_flight) break;
    }
    if (again.empty()) continue;
    const auto unparked = co_await buffer_.unpark(std::move(again), deadline);
    if (!unparked) observer_.on_trouble("replaying parked records", unparked.error());
  }
  --loops_;
  changed_->notify_all();
}

// --- one record's way ---

Task<> Pipeline::drive(RecordId id) {
  InHand& hand = in_hand_.at(id);
  hand.settled = co_await walk(hand);
  leave_seat(hand);
  InHand left = std::move(hand);
  in_hand_.erase(id);
  left.runner = nullptr;
  if (!left.settled) leave_unfinished(std::move(left));
  if (!stopping_) start_queued();
  changed_->notify_all();
}

// True when the record has left the pending entries: released, or parked.
Task<bool> Pipeline::walk(InHand& hand) {
  if (hand.suspect && hand.starts >= settings_.starts_max) co_return co_await park_poison(hand);
  Passage passage;
  passage.entry = hand.entry;
  passage.alone = hand.suspect;
  for (const auto& runner : runners_) {
    hand.runner = runner.get();
    ++runner->records;
    const auto done = co_await run_stage(*runner, hand, passage);
    --runner->records;
    if (!done) co_return hand.settled;
  }
  co_return true;
}

// A slot, when the stage's target may be tried. nullopt: the pipeline stops.
Task<std::optional<Budget::Share>> Pipeline::begin_attempt(Runner& runner, InHand& hand,
                                                           bool retry) {
  for (;;) {
    const Duration wait = runner.gate.wait(runtime_.steady_now(), retry);
    if (wait != Duration{}) {
      if (stopping_) co_return std::nullopt;
      co_await changed_->wait(runtime_.steady_now() + wait);
      continue;
    }
    auto slot = co_await may_attempt(runner, hand);
    if (!slot) co_return std::nullopt;
    // The gate may have closed meanwhile. A suspect goes all the same: its start is counted.
    if (!hand.suspect && runner.gate.wait(runtime_.steady_now(), retry) != Duration{}) continue;
    runner.gate.begin(runtime_.steady_now(), retry);
    co_return slot;
  }
}

void Pipeline::tell_gate(Runner& runner, const Result<void>& done, bool retry) {
  const bool closed = runner.gate.closed();
  if (done) {
    runner.gate.succeeded(retry);
  } else {
    runner.gate.failed(runtime_.steady_now(), done.error(), random());
  }
  if (closed == runner.gate.closed()) return;
  observer_.on_refused(runner.stage->name(), done ? nullptr : &done.error());
  changed_->notify_all();
}

Task<Result<void>> Pipeline::run_stage(Runner& runner, InHand& hand, Passage& passage) {
  const std::string_view name = runner.stage->name();
  observer_.on_received(name);
  std::uint64_t successes = runner.gate.successes();
  std::uint32_t counted = 0;
  for (std::uint32_t attempt = 1;; ++attempt) {
    Result<void> done;
    {
      const auto slot = co_await begin_attempt(runner, hand, attempt > 1);
      if (!slot || (stopping_ && attempt > 1)) {
        co_return fail(Code::closed, Origin::self, Retry::safe, "the pipeline stops");
      }
      if (name == "archive") passage.archive_attempts = attempt;
      const SteadyTime begin = runtime_.steady_now();
      ++attempts_running_;
      done = co_await runner.stage->run(passage);
      --attempts_running_;
      if (trial_) changed_->notify_all();
      tell_gate(runner, done, attempt > 1);
      if (done) {
        observer_.on_done(name, runtime_.steady_now() - begin);
        co_return done;
      }
    }
    observer_.on_failed(name, passage.entry.id, attempt, done.error());
    co_await survived(hand);
    const bool refused = TargetGate::is_refusal(done.error());
    // A refusal counts only where others got through since the last one: then it is this record's.
    if (!refused || std::exchange(successes, runner.gate.successes()) != runner.gate.successes()) {
      ++counted;
    }
    const RetryPolicy* own = runner.stage->retry(done.error());
    const RetryPolicy& retry = own != nullptr ? *own : settings_.retry;
    const bool hopeless = done.error().retry == Retry::never && !refused;
    if (hopeless || counted >= retry.attempts_max) {
      hand.settled = co_await park(hand, name, done.error(), attempt);
      co_return done;
    }
    observer_.on_retry(name);
    co_await pause(refused ? runner.gate.wait(runtime_.steady_now(), true) + kAfterOthers
                           : retry.wait_after(counted, random()));
    if (stopping_) co_return done;
  }
}

Task<bool> Pipeline::park(InHand& hand, std::string_view stage, Error error,
                          std::uint32_t attempts) {
  if (PLANTED("park_drops")) {
    static_cast<void>(co_await buffer_.release({hand.entry}, SteadyTime::max()));
    co_return true;
  }
  ParkedRecord record{.entry = hand.entry,
                      .stage = std::string(stage),
                      .reason = error.detail,
                      .retryable = error.retry != Retry::never || TargetGate::is_refusal(error),
                      .attempts = attempts,
                      .parked_at = runtime_.now(),
                      .starts = hand.starts};
  const auto parked =
      co_await buffer_.park(std::move(record), runtime_.steady_now() + kBufferTimeout);
  if (parked) {
    observer_.on_parked(stage, hand.entry.id, error);
  } else {
    // It stays pending, is claimed again after the lease, and walks the whole way once more.
    observer_.on_trouble("parking record " + hand.entry.id.str(), parked.error());
  }
  co_return parked.has_value();
}

}  // namespace daybook::core::pipeline
