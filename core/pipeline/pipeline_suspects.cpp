// Finding the record that brings the process down, without harm to those that were beside it.
//
// The buffer counts the starts of each entry, before the work and durably. Being given out for the
// first time is start 1 and costs no command. A start is taken back when it turns out that nobody
// died of it: stop() takes back what it leaves unfinished.
// - An entry that comes back with a start that was not taken back was in hand when a process died:
//   a suspect. Any of them may be the reason, or none (power, kill -9, an upload).
// - Suspects have one seat, and the one with the fewest starts takes it first. So at a death at
// most
//   one suspect's count has grown, and innocents go through before a poison has its next turn. New
//   entries and those of no suspicion run beside the seat; nobody waits behind a poison.
// - The seat is for one attempt, and for the next stage after a success. A suspect whose attempt
//   fails in an ordinary way has survived it: its start is taken back, and the seat is free while
//   it waits. An outage does not hold up the line, and counts against nobody.
// - New entries beside a dying seat become suspects, too, and might be so unlucky again and again.
//   Therefore the last start that a record has is a trial: it begins when no other attempt runs,
//   and none begins before it has ended. A record is parked only when the process died in its
//   trial; what was merely beside something else goes through in its own. starts_max >= 2, so that
//   no first start is a trial.
// - Counts are set, not added to: a lost answer counts nothing twice.
#include <algorithm>

#include "core/pipeline/pipeline.hpp"

namespace daybook::core::pipeline {
namespace {

constexpr Duration kTroublePause = std::chrono::milliseconds(500);
constexpr Duration kCountTimeout = std::chrono::seconds(10);
constexpr Duration kGiveBackTimeout = std::chrono::seconds(2);

}  // namespace

// Entries that come back: this node's from before it was restarted, and those of a silent owner.
Task<bool> Pipeline::take_returned(std::vector<BufferEntry> entries) {
  std::vector<BufferEntry> others;
  for (BufferEntry& entry : entries) {
    if (in_hand_.contains(entry.id) || queued_.contains(entry.id)) continue;
    // One that this process itself let go: it lives, so nothing is to be learned from it.
    if (auto mine = let_go_.extract(entry.id); !mine.empty()) {
      enqueue(std::move(mine.mapped()));
    } else {
      others.push_back(std::move(entry));
    }
  }
  start_queued();
  if (others.empty()) co_return true;
  const auto starts = co_await buffer_.starts(others, runtime_.steady_now() + kCountTimeout);
  if (!starts) {
    observer_.on_trouble("reading how often entries were started", starts.error());
    co_return false;
  }
  std::vector<StartCount> again;
  std::size_t suspects = 0;
  for (std::size_t i = 0; i < others.size(); ++i) {
    if ((*starts)[i] == 0) {
      again.push_back({std::move(others[i]), 1});
      continue;
    }
    ++suspects;
    enqueue(InHand{
        .entry = std::move(others[i]), .starts = (*starts)[i], .suspect = true, .counted = false});
  }
  if (suspects != 0) observer_.on_suspects(suspects);
  start_queued();
  if (again.empty()) co_return true;
  const auto noted = co_await buffer_.note_starts(again, runtime_.steady_now() + kCountTimeout);
  if (!noted) {
    observer_.on_trouble("counting starts", noted.error());
    co_return false;
  }
  for (StartCount& count : again) enqueue(InHand{.entry = std::move(count.entry)});
  start_queued();
  co_return true;
}

void Pipeline::start_suspect() {
  if (suspects_.empty() || seat_taken_ || in_hand_.size() >= settings_.records_in_flight) return;
  const auto least = std::ranges::min_element(suspects_, {}, &InHand::starts);
  InHand hand = std::move(*least);
  suspects_.erase(least);
  hand.seated = true;
  seat_taken_ = true;
  start(std::move(hand));
}

// The slot of an attempt that may begin now; nullopt: the pipeline stops.
Task<std::optional<Budget::Share>> Pipeline::may_attempt(Runner& runner, InHand& hand) {
  if (hand.suspect && !hand.counted && !co_await take_seat(hand)) co_return std::nullopt;
  for (;;) {
    while (trial_ && !hand.suspect && !stopping_) co_await changed_->wait(SteadyTime::max());
    if (trial_ && !hand.suspect) co_return std::nullopt;
    auto slot = co_await runner.slots.acquire(1, SteadyTime::max());
    if (!trial_ || hand.suspect) co_return slot;
  }
}

// Waits for this suspect's turn and counts the start. False: the pipeline stops.
Task<bool> Pipeline::take_seat(InHand& hand) {
  while (!hand.seated && seat_taken_ && !stopping_) co_await changed_->wait(SteadyTime::max());
  if (stopping_) co_return false;
  hand.seated = seat_taken_ = true;
  if (hand.starts + 1 >= settings_.starts_max) {
    trial_ = true;
    // Others' attempts end first, and only then is the start counted.
    while (attempts_running_ != 0 && !stopping_) co_await changed_->wait(SteadyTime::max());
  }
  while (!stopping_) {
    if (co_await note_start(hand, hand.starts + 1)) {
      ++hand.starts;
      hand.counted = true;
      co_return true;
    }
    co_await pause(kTroublePause);
  }
  co_return false;
}

// An attempt has failed and the process is still there: the start does not count. It is taken back
// before anybody else goes on, so that another's death cannot be held against this record.
Task<> Pipeline::survived(InHand& hand) {
  if (!hand.suspect) co_return;
  while (!stopping_) {
    if (co_await note_start(hand, hand.starts - 1)) {
      --hand.starts;
      hand.counted = false;
      break;
    }
    co_await pause(kTroublePause);
  }
  leave_seat(hand);
}

void Pipeline::leave_seat(InHand& hand) {
  if (!hand.seated) return;
  hand.seated = seat_taken_ = trial_ = false;
  if (!stopping_) start_queued();
  changed_->notify_all();
}

Task<bool> Pipeline::note_start(const InHand& hand, std::uint32_t starts) {
  std::vector<StartCount> counts = {{hand.entry, starts}};
  const auto noted =
      co_await buffer_.note_starts(std::move(counts), runtime_.steady_now() + kCountTimeout);
  if (!noted) observer_.on_trouble("counting a start", noted.error());
  co_return noted.has_value();
}

Task<bool> Pipeline::park_poison(InHand& hand) {
  const Error error{Code::internal, Origin::self, Retry::never,
                    std::to_string(hand.starts) +
                        " starts of this record ended with the process dying, the last one with "
                        "no other record beside it. Replay it when the reason is mended"};
  co_return co_await park(hand, runners_.front()->stage->name(), error, hand.starts);
}

// Neither released nor parked, and no longer in hand.
void Pipeline::leave_unfinished(InHand hand) {
  if (stopping_) {
    unfinished_.push_back(std::move(hand));
  } else {
    // Claimed again after the lease. Others may have claimed and finished it: no memory for ever.
    if (let_go_.size() >= 4 * settings_.records_in_flight) let_go_.clear();
    let_go_.insert_or_assign(hand.entry.id, std::move(hand));
  }
}

// Best effort: what cannot be taken back makes suspects, which go through all the same.
Task<> Pipeline::give_back() {
  for (auto& [id, hand] : in_hand_) {
    if (!hand.counted) continue;
    unfinished_.push_back(hand);
    hand.counted = false;
  }
  std::vector<StartCount> counts;
  for (const InHand& hand : std::exchange(unfinished_, {})) {
    if (hand.counted) counts.push_back({hand.entry, hand.starts - 1});
  }
  if (counts.empty()) co_return;
  const auto noted =
      co_await buffer_.note_starts(std::move(counts), runtime_.steady_now() + kGiveBackTimeout);
  if (!noted) observer_.on_trouble("giving unfinished entries back", noted.error());
}

}  // namespace daybook::core::pipeline
