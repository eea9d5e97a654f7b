#include "core/pipeline/pipeline.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/faults.hpp"

namespace daybook::core::pipeline {
namespace {

constexpr Duration kReadWait = std::chrono::milliseconds(500);
constexpr Duration kAwayPause = std::chrono::milliseconds(50);
constexpr Duration kTroublePause = std::chrono::milliseconds(500);
constexpr Duration kBufferTimeout = std::chrono::seconds(10);
constexpr std::size_t kClaimMax = 100;

}  // namespace

Pipeline::Pipeline(Runtime& runtime, WriteAheadBuffer& buffer, std::vector<Stage*> stages,
                   PipelineObserver& observer, PipelineSettings settings)
    : runtime_(runtime),
      buffer_(buffer),
      observer_(observer),
      settings_(settings),
      changed_(runtime.make_signal()),
      stopped_(runtime.make_signal()),
      random_(static_cast<std::minstd_rand::result_type>(settings.seed)) {
  for (Stage* stage : stages) {
    runners_.push_back(std::make_unique<Runner>(stage, Budget(runtime, stage->concurrency())));
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
  queue_.clear();
  queued_.clear();
  stopped_->notify_all();
  changed_->notify_all();
}

Task<bool> Pipeline::drained(Deadline deadline) {
  while (!in_hand_.empty() || loops_ != 0) {
    if (runtime_.steady_now() >= deadline) co_return false;
    co_await changed_->wait(deadline);
  }
  co_return true;
}

std::string_view Pipeline::stage_of(const RecordId& id) const {
  const auto found = in_hand_.find(id);
  if (found == in_hand_.end() || found->second.runner == nullptr) return {};
  return found->second.runner->stage->name();
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
  enqueue(std::move(*entries));
  co_return true;
}

void Pipeline::enqueue(std::vector<BufferEntry> entries) {
  for (BufferEntry& entry : entries) {
    if (stopping_ || in_hand_.contains(entry.id) || !queued_.insert(entry.id).second) continue;
    queue_.push_back(std::move(entry));
  }
  start_queued();
}

void Pipeline::start_queued() {
  while (!queue_.empty() && in_hand_.size() < settings_.records_in_flight) {
    BufferEntry entry = std::move(queue_.front());
    queue_.pop_front();
    queued_.erase(entry.id);
    in_hand_.emplace(entry.id, InHand{entry, nullptr});
    runtime_.spawn(drive(std::move(entry)));
  }
}

Task<> Pipeline::lease_loop() {
  while (!stopping_) {
    co_await pause(settings_.lease / 3);
    if (stopping_) break;
    std::vector<BufferEntry> mine(queue_.begin(), queue_.end());
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
      enqueue(std::move(*claimed));
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

Task<> Pipeline::drive(BufferEntry entry) {
  Passage passage;
  passage.entry = std::move(entry);
  for (const auto& runner : runners_) {
    in_hand_.at(passage.entry.id).runner = runner.get();
    ++runner->records;
    const auto done = co_await run_stage(*runner, passage);
    --runner->records;
    if (!done) break;
  }
  in_hand_.erase(passage.entry.id);
  start_queued();
  changed_->notify_all();
}

Task<Result<void>> Pipeline::run_stage(Runner& runner, Passage& passage) {
  const std::string_view name = runner.stage->name();
  observer_.on_received(name);
  for (std::uint32_t attempt = 1;; ++attempt) {
    Result<void> done;
    {
      const auto slot = co_await runner.slots.acquire(1, SteadyTime::max());
      if (stopping_ && attempt > 1) {
        co_return fail(Code::closed, Origin::self, Retry::safe, "the pipeline stops");
      }
      if (name == "archive") passage.archive_attempts = attempt;
      const SteadyTime begin = runtime_.steady_now();
      done = co_await runner.stage->run(passage);
      if (done) {
        observer_.on_done(name, runtime_.steady_now() - begin);
        co_return done;
      }
    }
    observer_.on_failed(name, passage.entry.id, attempt, done.error());
    if (done.error().retry == Retry::never || attempt >= settings_.retry.attempts_max) {
      co_await park(passage, name, done.error(), attempt);
      co_return done;
    }
    observer_.on_retry(name);
    co_await pause(settings_.retry.wait_after(attempt, random()));
    if (stopping_) co_return done;
  }
}

Task<> Pipeline::park(const Passage& passage, std::string_view stage, Error error,
                      std::uint32_t attempts) {
  ParkedRecord record{passage.entry, std::string(stage), error.detail, error.retry != Retry::never,
                      attempts,      runtime_.now()};
  if (PLANTED("park_drops")) {
    static_cast<void>(co_await buffer_.release({passage.entry}, SteadyTime::max()));
    co_return;
  }
  const auto parked =
      co_await buffer_.park(std::move(record), runtime_.steady_now() + kBufferTimeout);
  if (parked) {
    observer_.on_parked(stage, passage.entry.id, error);
  } else {
    // It stays pending, is claimed again after the lease, and walks the whole way once more.
    observer_.on_trouble("parking record " + passage.entry.id.str(), parked.error());
  }
}

}  // namespace daybook::core::pipeline
