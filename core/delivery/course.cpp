#include "core/delivery/course.hpp"

#include <algorithm>
#include <set>

#include "core/check.hpp"

namespace daybook::core::delivery {

void Course::begin(std::uint64_t cursor) {
  CHECK(in_flight_ == 0);
  in_hand_.clear();
  read_to_ = cursor;
  parked_in_a_row_ = 0;
  away_ = false;
  refusals_ = 0;
  probe_.reset();
}

std::size_t Course::room() const {
  return settings_.in_hand_max - std::min(settings_.in_hand_max, in_hand_.size());
}

void Course::add(Delivery delivery) {
  CHECK(delivery.number > read_to_);
  read_to_ = delivery.number;
  if (delivery.due.empty()) return;
  const Key key{delivery.number, false};
  in_hand_.emplace(key, InHand{.delivery = std::move(delivery)});
}

bool Course::redrive(Delivery delivery) {
  const Key key{delivery.number, true};
  return in_hand_.try_emplace(key, InHand{.delivery = std::move(delivery)}).second;
}

template <class F>
void Course::for_first_of_partitions(F f) const {
  std::set<std::uint32_t> seen;
  for (const auto& [key, entry] : in_hand_) {
    if (!seen.insert(entry.delivery.partition).second) continue;
    if (!entry.in_flight && f(key, entry)) return;
  }
}

std::optional<Course::Key> Course::next(SteadyTime now) const {
  if (paused_ || in_flight_ >= settings_.parallel || now < next_send_) return std::nullopt;
  if (away_ && (probe_ || now < retry_at_)) return std::nullopt;
  std::optional<Key> found;
  for_first_of_partitions([&](Key key, const InHand& entry) {
    if (now < entry.not_before) return false;
    found = key;
    return true;
  });
  return found;
}

SteadyTime Course::wake() const {
  if (paused_ || in_flight_ >= settings_.parallel || (away_ && probe_)) return SteadyTime::max();
  SteadyTime first = SteadyTime::max();
  for_first_of_partitions([&first](Key, const InHand& entry) {
    first = std::min(first, entry.not_before);
    return false;
  });
  if (first == SteadyTime::max()) return first;
  if (away_) first = std::max(first, retry_at_);
  return std::max(first, next_send_);
}

void Course::start(Key key, SteadyTime now) {
  InHand& entry = in_hand_.at(key);
  CHECK(!entry.in_flight && !entry.delivery.due.empty());
  entry.in_flight = true;
  ++in_flight_;
  next_send_ = now + between_;
  if (away_) probe_ = key;
}

void Course::close_gate(bool was_probe, const Verdict& verdict, SteadyTime now, double random) {
  const bool first = !away_;
  away_ = true;
  // Those that were on their way when the gate closed say nothing new.
  if (!first && !was_probe) {
    if (verdict.retry_after) retry_at_ = std::max(retry_at_, now + *verdict.retry_after);
    return;
  }
  ++refusals_;
  const Duration wait = settings_.retry.wait_after(refusals_, random);
  retry_at_ = now + std::max(wait, verdict.retry_after.value_or(Duration(0)));
}

Course::Next Course::ended(Key key, const Verdict& verdict, SteadyTime now, double random) {
  InHand& entry = in_hand_.at(key);
  CHECK(entry.in_flight);
  const bool was_probe = probe_ == key;
  if (was_probe) probe_.reset();
  if (verdict.kind == Verdict::Kind::away) {
    close_gate(was_probe, verdict, now, random);
  } else {
    away_ = false;
    refusals_ = 0;
  }
  if (verdict.kind == Verdict::Kind::failed) {
    ++entry.attempts;
    if (entry.attempts >= settings_.retry.attempts_max) return Next::park;
    const Duration wait = settings_.retry.wait_after(entry.attempts, random);
    entry.not_before = now + std::max(wait, verdict.retry_after.value_or(Duration(0)));
  }
  entry.in_flight = false;
  --in_flight_;
  if (verdict.kind == Verdict::Kind::gone) return Next::pause;
  if (verdict.kind != Verdict::Kind::delivered) return Next::nothing;
  parked_in_a_row_ = 0;
  entry.attempts = 0;
  entry.delivery.due.erase(entry.delivery.due.begin());
  if (!entry.delivery.due.empty()) return Next::nothing;
  in_hand_.erase(key);
  return Next::finished;
}

Course::Next Course::parked(Key key) {
  CHECK(in_hand_.at(key).in_flight);
  --in_flight_;
  in_hand_.erase(key);
  ++parked_in_a_row_;
  const bool too_many = settings_.pause_after != 0 && parked_in_a_row_ >= settings_.pause_after;
  return too_many ? Next::pause : Next::nothing;
}

void Course::resume() {
  paused_ = false;
  parked_in_a_row_ = 0;
  away_ = false;
  refusals_ = 0;
}

void Course::limit_rate(std::uint32_t per_minute) {
  between_ = per_minute == 0 ? Duration(0) : Duration(std::chrono::minutes(1)) / per_minute;
}

std::uint64_t Course::cursor() const {
  for (const auto& [key, entry] : in_hand_) {
    if (!key.redriven) return key.number - 1;
  }
  return read_to_;
}

}  // namespace daybook::core::delivery
