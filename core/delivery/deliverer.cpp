#include "core/delivery/deliverer.hpp"

#include <algorithm>

namespace daybook::core::delivery {
namespace {

using namespace std::chrono_literals;

// A crash repeats what was delivered in this time and while a save was under way. Each save is a
// small durable write, which appends of records wait for.
constexpr Duration kSaveEvery = 250ms;
// For one call of the cursor store or a source.
constexpr Duration kStoreTimeout = 10s;
// After a failure of theirs.
constexpr Duration kTroubleWait = 1s;
}  // namespace

Deliverer::Deliverer(Services services, Settings settings)
    : services_(services),
      settings_(std::move(settings)),
      course_(settings_.course),
      changed_(services.runtime.make_signal()),
      look_(services.runtime.make_signal()),
      progress_(services.runtime.make_signal()),
      ended_(services.runtime.make_signal()),
      random_(static_cast<std::minstd_rand::result_type>(settings_.seed)) {}

void Deliverer::start() {
  running_ = true;
  services_.runtime.spawn(run());
}

void Deliverer::stop() {
  stopping_ = true;
  changed_->notify_all();
  look_->notify_all();
  progress_->notify_all();
}

Task<bool> Deliverer::drained(Deadline deadline) {
  while (running_) {
    const bool notified = co_await ended_->wait(deadline);
    if (!notified && running_ && services_.runtime.steady_now() >= deadline) co_return false;
  }
  co_return true;
}

void Deliverer::poke() {
  read_at_ = {};
  changed_->notify_all();
}

void Deliverer::look() {
  look_->notify_all();
}

bool Deliverer::holds() const {
  return services_.runtime.steady_now() < lease_until_;
}

Deadline Deliverer::store_deadline() const {
  return services_.runtime.steady_now() + kStoreTimeout;
}

double Deliverer::random() {
  return std::uniform_real_distribution<double>(0.0, 1.0)(random_);
}

void Deliverer::trouble(std::string_view doing, const Error& error) {
  failed_at_ = services_.runtime.now();
  last_error_ = std::string(doing) + ": " + error.detail;
  // The same trouble again and again is said once.
  if (last_trouble_ == last_error_) return;
  last_trouble_ = last_error_;
  services_.observer.on_trouble(settings_.name, doing, error);
}

// --- the lease ---

Task<> Deliverer::run() {
  while (!stopping_) {
    if (co_await claim()) co_await serve();
    if (stopping_) break;
    co_await look_->wait(services_.runtime.steady_now() + settings_.lease / 3);
  }
  running_ = false;
  ended_->notify_all();
}

Task<bool> Deliverer::claim() {
  // Counted from before the question: the store's time began later.
  const SteadyTime asked = services_.runtime.steady_now();
  auto claim =
      co_await services_.cursors.claim(settings_.name, settings_.owner, settings_.lease,
                                       report_ ? report_() : "", asked + settings_.lease / 3);
  if (!claim) {
    if (!holds()) known_ = false;
    trouble("asking for the lease", claim.error());
    co_return false;
  }
  last_trouble_.clear();
  adopt(std::move(claim->record));
  if (!claim->granted) {
    lose_lease();
    co_return false;
  }
  // A new fence while serving: the lease was lost and is ours again, and what happened meanwhile is
  // not known.
  if (serving_ && claim->fence != fence_) {
    lose_lease();
    co_return false;
  }
  fence_ = claim->fence;
  lease_until_ = asked + settings_.lease;
  co_return true;
}

void Deliverer::adopt(SubscriberRecord record) {
  record_ = std::move(record);
  known_ = true;
  redrives_due_ = redrives_due_ || record_.redriving > redriven_in_hand_;
  if (record_.pause) {
    course_.pause();
  } else if (course_.paused() && !pause_wanted_) {
    course_.resume();
    away_since_.reset();
    prepared_ = false;
    refusals_ = 0;
    prepare_at_ = {};
  }
  changed_->notify_all();
}

void Deliverer::lose_lease() {
  lease_until_ = {};
  changed_->notify_all();
}

Task<> Deliverer::keep_lease() {
  while (serving_) {
    co_await look_->wait(services_.runtime.steady_now() + settings_.lease / 3);
    if (!serving_) break;
    if (pause_wanted_) co_await write_pause();
    if (serving_) static_cast<void>(co_await claim());
  }
  --helpers_;
  changed_->notify_all();
}

// --- serving ---

Task<> Deliverer::serve() {
  const auto from = co_await services_.source.begin(record_, fence_, store_deadline());
  if (!from) {
    trouble("finding where to go on", from.error());
    co_return;
  }
  course_.begin(*from);
  prepared_ = false;
  read_at_ = {};
  redriven_in_hand_ = 0;
  redrives_due_ = record_.redriving > 0;
  serving_ = true;
  services_.observer.on_lease(settings_.name, true);
  helpers_ = 2;
  services_.runtime.spawn(keep_lease());
  services_.runtime.spawn(save_loop());
  while (!stopping_ && holds()) {
    if (!course_.paused()) {
      if (redrives_due_) co_await take_redrives();
      co_await refill();
      if (!prepared_) co_await prepare();
      if (prepared_ && !stopping_) start_turns();
    }
    const SteadyTime until = std::min(lease_until_, next_step());
    if (until > services_.runtime.steady_now()) co_await changed_->wait(until);
  }
  serving_ = false;
  look_->notify_all();
  progress_->notify_all();
  while (course_.in_flight() > 0 || helpers_ > 0) co_await changed_->wait(SteadyTime::max());
  services_.observer.on_lease(settings_.name, false);
  if (!holds()) {
    pause_wanted_.reset();  // whoever delivers next finds out for himself
    co_return;
  }
  co_await save();
  if (pause_wanted_) co_await write_pause();
  if (!stopping_) co_return;
  lease_until_ = {};
  static_cast<void>(
      co_await services_.cursors.give_up(settings_.name, settings_.owner, store_deadline()));
}

// When there may be something to do without anything else happening.
SteadyTime Deliverer::next_step() const {
  if (course_.paused()) return SteadyTime::max();
  SteadyTime first = wants_more() ? read_at_ : SteadyTime::max();
  if (prepared_) return std::min(first, course_.wake());
  return course_.in_hand() > 0 ? std::min(first, prepare_at_) : first;
}

Task<> Deliverer::prepare() {
  const SteadyTime now = services_.runtime.steady_now();
  if (now < prepare_at_ || course_.in_hand() == 0) co_return;
  const Verdict verdict = co_await services_.sender.prepare(now + settings_.timeout);
  prepared_ = verdict.kind == Verdict::Kind::delivered;
  if (prepared_) {
    course_.limit_rate(services_.sender.notices_per_minute());
    refusals_ = 0;
    co_return;
  }
  services_.observer.on_failed(settings_.name, RecordId(), verdict);
  failed_at_ = services_.runtime.now();
  last_error_ = verdict.detail;
  if (!away_since_) {
    away_since_ = failed_at_;
    services_.observer.on_away(settings_.name, &verdict);
  }
  ++refusals_;
  const Duration wait = settings_.course.retry.wait_after(refusals_, random());
  prepare_at_ =
      services_.runtime.steady_now() + std::max(wait, verdict.retry_after.value_or(Duration(0)));
}

// Not for each that is done: a page costs as much as some rows.
bool Deliverer::wants_more() const {
  return course_.room() >= (settings_.course.in_hand_max + 3) / 4;
}

Task<> Deliverer::refill() {
  if (!wants_more() || services_.runtime.steady_now() < read_at_) co_return;
  read_at_ = services_.runtime.steady_now() + settings_.poll;
  auto page = co_await services_.source.read(course_.read_to(), course_.room(), store_deadline());
  if (!page) {
    read_at_ = services_.runtime.steady_now() + kTroubleWait;
    trouble("reading what to deliver", page.error());
    co_return;
  }
  if (page->more) read_at_ = {};
  if (page->missed > 0) {
    services_.observer.on_missed(settings_.name, page->missed);
    look_->notify_all();  // the report that is kept says so from now on
  }
  for (Delivery& delivery : page->deliveries) course_.add(std::move(delivery));
  if (services_.source.unsaved(course_.cursor())) progress_->notify_all();
}

Task<> Deliverer::take_redrives() {
  redrives_due_ = false;
  auto parked = co_await services_.cursors.redrives(settings_.name, settings_.course.in_hand_max,
                                                    store_deadline());
  if (!parked) co_return trouble("reading parked deliveries", parked.error());
  for (const ParkedDelivery& one : *parked) {
    auto delivery = co_await services_.source.recall(one, store_deadline());
    if (!delivery) {
      trouble("reading a parked delivery's record", delivery.error());
      continue;
    }
    if (!*delivery) {
      // There is nothing left to tell of: the record was replayed or dropped meanwhile.
      auto gone =
          co_await services_.cursors.unpark(settings_.name, fence_, one.key(), store_deadline());
      if (!gone) trouble("removing a parked delivery", gone.error());
      continue;
    }
    if (course_.redrive(std::move(**delivery))) ++redriven_in_hand_;
  }
}

// --- what is kept ---

void Deliverer::pause(std::string reason) {
  if (course_.paused()) return;
  course_.pause();
  pause_wanted_ = SubscriberPause{.reason = std::move(reason), .at = services_.runtime.now()};
  services_.observer.on_paused(settings_.name, pause_wanted_->reason);
  look_->notify_all();
}

Task<> Deliverer::write_pause() {
  auto done = co_await services_.cursors.pause(settings_.name, *pause_wanted_, store_deadline());
  if (!done) co_return trouble("keeping the pause", done.error());
  pause_wanted_.reset();
}

Task<> Deliverer::save() {
  const std::uint64_t cursor = course_.cursor();
  if (!services_.source.unsaved(cursor)) co_return;
  const auto done = co_await services_.source.save(fence_, cursor, store_deadline());
  if (done) co_return;
  trouble("saving the cursor", done.error());
  if (done.error().code == Code::conflict) lose_lease();
}

Task<> Deliverer::save_loop() {
  while (serving_) {
    if (!services_.source.unsaved(course_.cursor())) {
      co_await progress_->wait(SteadyTime::max());
      continue;
    }
    // All subscribers of a process save at the same moments, so that one sync of Redis does for
    // all.
    const Duration since = services_.runtime.steady_now().time_since_epoch() % kSaveEvery;
    co_await services_.runtime.sleep(kSaveEvery - since);
    if (serving_) co_await save();
  }
  --helpers_;
  changed_->notify_all();
}

Deliverer::State Deliverer::state() const {
  State state;
  state.record = record_;
  const bool mine = serving_ && holds();
  state.cursor = mine ? course_.cursor() : record_.cursor ? record_.cursor->sequence : 0;
  state.lag = services_.source.lag(state.cursor);
  state.in_flight = course_.in_flight();
  state.delivered = delivered_;
  state.delivered_at = delivered_at_;
  state.failed_at = failed_at_;
  state.last_error = last_error_;
  state.away_since = away_since_;
  if (!known_) {
    state.word = "unknown";
  } else if (course_.paused()) {
    state.word = "paused";
  } else if (!holds()) {
    state.word = "standby";
  } else {
    state.word = away_since_ || !mine ? "waiting" : "delivering";
  }
  if (pause_wanted_) state.record.pause = pause_wanted_;
  return state;
}

}  // namespace daybook::core::delivery
