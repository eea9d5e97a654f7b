// A turn: one notice is sent, and what its answer means for the delivery is carried out.
#include "core/delivery/deliverer.hpp"

namespace daybook::core::delivery {
namespace {

// After a failure of the cursor store.
constexpr Duration kTroubleWait = std::chrono::seconds(1);
// Beyond this many parked deliveries something is wrong with the subscriber, not with records.
constexpr std::uint64_t kParkedMax = 10'000;

}  // namespace

std::optional<Course::Key> Deliverer::start_next() {
  const SteadyTime now = services_.runtime.steady_now();
  const auto key = course_.next(now);
  if (key) course_.start(*key, now);
  return key;
}

void Deliverer::start_turns() {
  while (const auto key = start_next()) services_.runtime.spawn(turns(*key));
}

// One after the other while nothing happens that the serving loop must know of: it would start the
// same, later and for more.
Task<> Deliverer::turns(Course::Key first) {
  for (std::optional<Course::Key> key = first; key;) {
    const bool smooth = co_await turn(*key);
    progress_->notify_all();
    key.reset();
    if (smooth && serving_ && !stopping_ && prepared_ && holds()) key = start_next();
    const bool reads = wants_more() && services_.runtime.steady_now() >= read_at_;
    if (!key || reads) changed_->notify_all();
  }
}

Task<bool> Deliverer::turn(Course::Key key) {
  const Delivery delivery = course_.delivery(key);
  const bool was_away = course_.away();
  const SteadyTime began = services_.runtime.steady_now();
  const Verdict verdict =
      co_await services_.sender.send(delivery, delivery.due.front(), began + settings_.timeout);
  const SteadyTime now = services_.runtime.steady_now();
  const auto next = course_.ended(key, verdict, now, random());
  note(delivery, verdict, now - began);
  switch (next) {
    case Course::Next::nothing:
      break;
    case Course::Next::finished:
      if (key.redriven) {
        co_await finish_redriven(delivery);
      } else {
        services_.source.finished(delivery);
      }
      break;
    case Course::Next::park:
      co_await park(key, delivery, verdict);
      break;
    case Course::Next::pause:
      pause(verdict.detail + "; it wants no more notices");
      break;
  }
  co_return !was_away && !key.redriven && verdict.kind == Verdict::Kind::delivered;
}

void Deliverer::note(const Delivery& delivery, const Verdict& verdict, Duration took) {
  if (verdict.kind == Verdict::Kind::delivered) {
    ++delivered_;
    delivered_at_ = services_.runtime.now();
    services_.observer.on_delivered(settings_.name, took);
  } else {
    failed_at_ = services_.runtime.now();
    last_error_ = verdict.detail;
    services_.observer.on_failed(settings_.name, delivery.id, verdict);
  }
  if (course_.away() && !away_since_) {
    away_since_ = services_.runtime.now();
    services_.observer.on_away(settings_.name, &verdict);
  } else if (!course_.away() && away_since_) {
    away_since_.reset();
    services_.observer.on_away(settings_.name, nullptr);
  }
}

Task<> Deliverer::finish_redriven(Delivery delivery) {
  ParkedDelivery parked;
  parked.id = delivery.id;
  if (delivery.parked) parked.parking = delivery.parked->parked_at;
  const std::string name = parked.key();
  co_await insist("removing a parked delivery", [this, name] {
    return services_.cursors.unpark(settings_.name, fence_, name, store_deadline());
  });
  if (record_.parked > 0) --record_.parked;
  end_redrive();
}

void Deliverer::end_redrive() {
  --redriven_in_hand_;
  if (record_.redriving > 0) --record_.redriving;
  redrives_due_ = record_.redriving > redriven_in_hand_;
}

Task<> Deliverer::park(Course::Key key, Delivery delivery, Verdict verdict) {
  ParkedDelivery parked;
  parked.number = delivery.number;
  parked.id = delivery.id;
  for (const Event event : delivery.due) parked.due.emplace_back(to_string(event));
  if (delivery.parked) parked.parking = delivery.parked->parked_at;
  parked.reason = verdict.detail;
  parked.attempts = course_.attempts(key);
  parked.parked_at = services_.runtime.now();
  const bool kept = co_await insist("parking a delivery", [this, parked] {
    return services_.cursors.park(settings_.name, fence_, parked, store_deadline());
  });
  if (kept) {
    services_.observer.on_parked(settings_.name, parked);
    if (!key.redriven) {
      services_.source.finished(delivery);
      ++record_.parked;
    }
  }
  if (key.redriven) end_redrive();
  if (course_.parked(key) == Course::Next::pause) {
    pause(std::to_string(settings_.course.pause_after) +
          " deliveries in a row were refused and parked, the last because " + verdict.detail);
  } else if (record_.parked >= kParkedMax) {
    pause(std::to_string(record_.parked) + " deliveries are parked");
  }
}

Task<bool> Deliverer::insist(std::string_view doing, std::function<Task<Result<void>>()> act) {
  while (holds()) {
    const auto done = co_await act();
    if (done) co_return true;
    trouble(doing, done.error());
    if (done.error().code == Code::conflict) {
      lose_lease();
      break;
    }
    co_await services_.runtime.sleep(kTroubleWait);
  }
  co_return false;
}

}  // namespace daybook::core::delivery
