// Course: what one subscriber has in hand, and whose turn it is. Pure: the caller brings the time
// and the random number. I/O thread only.
//
// - Order is kept per partition: a delivery waits while an earlier one of its partition is not
//   done. Up to `parallel` deliveries of different partitions go side by side.
// - A subscriber that is away (Verdict) is nobody's fault: nothing is counted, one delivery at a
//   time tries it, ever more rarely, and the first answer lets all go on.
// - An answer that refuses a notice counts against that delivery: after attempts_max of them it is
//   to be parked, and the others go on.
// - The cursor is the number up to which everything is done, parked or of no interest.
#pragma once

#include <compare>
#include <map>
#include <optional>

#include "core/delivery/notice.hpp"
#include "core/delivery/verdict.hpp"
#include "core/retry.hpp"

namespace daybook::core::delivery {

class Course {
 public:
  struct Settings {
    std::size_t in_hand_max = 32;  // deliveries in hand
    std::size_t parallel = 1;
    RetryPolicy retry;
    std::uint32_t pause_after = 10;  // parked deliveries in a row; 0 = never
  };
  // A delivery of the feed, or one that was parked and is tried again: both may be in hand.
  struct Key {
    std::uint64_t number = 0;
    bool redriven = false;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  // What must be done after a turn.
  enum class Next : std::uint8_t {
    nothing,
    finished,  // the delivery is done and no longer in hand
    park,      // keep it aside durably, then call parked(); it stays in hand until then
    pause,     // call pause()
  };

  explicit Course(Settings settings) : settings_(settings) {}

  // Where the feed is read on from; nothing is in hand.
  void begin(std::uint64_t cursor);
  [[nodiscard]] std::size_t room() const;
  // Ascending. A delivery with nothing due is passed over.
  void add(Delivery delivery);
  // A parked delivery, once more. False: it is in hand already.
  bool redrive(Delivery delivery);

  // Whose turn it is now; its first due notice is to be sent. nullopt: nobody's.
  [[nodiscard]] std::optional<Key> next(SteadyTime now) const;
  // When it may be somebody's turn without anything else happening; max(): never.
  [[nodiscard]] SteadyTime wake() const;
  void start(Key key, SteadyTime now);
  [[nodiscard]] Next ended(Key key, const Verdict& verdict, SteadyTime now, double random_0_to_1);
  // The delivery was parked. Next::pause where it was one too many in a row.
  [[nodiscard]] Next parked(Key key);

  void pause() { paused_ = true; }
  void resume();
  // At most so many notices a minute; 0 = any number.
  void limit_rate(std::uint32_t per_minute);

  [[nodiscard]] std::uint64_t cursor() const;
  [[nodiscard]] std::uint64_t read_to() const { return read_to_; }
  [[nodiscard]] const Delivery& delivery(Key key) const { return in_hand_.at(key).delivery; }
  [[nodiscard]] std::uint32_t attempts(Key key) const { return in_hand_.at(key).attempts; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  [[nodiscard]] std::size_t in_hand() const { return in_hand_.size(); }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] bool away() const { return away_; }

 private:
  struct InHand {
    Delivery delivery;
    std::uint32_t attempts = 0;  // refusals of the notice that is due
    SteadyTime not_before{};
    bool in_flight = false;
  };

  void close_gate(bool was_probe, const Verdict& verdict, SteadyTime now, double random);
  // Calls f(key, entry) for the first of each partition until it returns true.
  template <class F>
  void for_first_of_partitions(F f) const;

  Settings settings_;
  std::map<Key, InHand> in_hand_;
  std::uint64_t read_to_ = 0;
  std::size_t in_flight_ = 0;
  std::uint32_t parked_in_a_row_ = 0;
  bool paused_ = false;
  // The gate in front of a subscriber that is away.
  bool away_ = false;
  std::uint32_t refusals_ = 0;
  SteadyTime retry_at_{};
  std::optional<Key> probe_;
  // The rate that the subscriber allowed.
  Duration between_{};
  SteadyTime next_send_{};
};

}  // namespace daybook::core::delivery
