// Deliverer: tells one subscriber, at least once and in order, by a Course over a Source. Each
// subscriber has its own, so that a slow one holds up nobody else.
//
// - Of all nodes, one at a time delivers: the holder of the lease in the cursor store. It renews
//   every third of it; whoever cannot renew stops before it ends. After that another node goes on
//   from the cursor that was saved last.
// - The cursor moves after the answer 2xx, or when the delivery is parked, durably; it is saved at
//   most every kSaveEvery. What was not saved when a process died is sent again, under the same id.
// - Memory: at most 2 * in_hand_max deliveries (those of the feed, and redriven ones).
// I/O thread only. start() spawns; drained() after stop() waits for what is being sent.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "core/delivery/course.hpp"
#include "core/delivery/source.hpp"
#include "core/ports/delivery_observer.hpp"
#include "core/ports/notice_sender.hpp"
#include "core/ports/runtime.hpp"

namespace daybook::core::delivery {

class Deliverer {
 public:
  struct Services {
    Runtime& runtime;
    CursorStore& cursors;
    Source& source;
    NoticeSender& sender;
    DeliveryObserver& observer;
  };
  struct Settings {
    std::string name;
    SubscriberOwner owner;
    Duration lease{};
    Duration timeout{};                       // of one attempt
    Duration poll = std::chrono::seconds(5);  // unless poke() says that there is more
    Course::Settings course;
    std::uint64_t seed = 0;  // of the jitter
  };
  // What goes on, for people. delivering | waiting (it is away) | paused | standby (another node
  // delivers) | unknown (what is kept could not be read).
  struct State {
    std::string_view word = "unknown";
    SubscriberRecord record;   // as of the last look
    std::uint64_t cursor = 0;  // of the holder; else of the record
    std::uint64_t lag = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t delivered = 0;  // notices, by this process
    std::optional<WallTime> delivered_at;
    std::optional<WallTime> failed_at;
    std::string last_error;  // with failed_at
    std::optional<WallTime> away_since;
  };

  Deliverer(Services services, Settings settings);

  void start();
  void stop();
  Task<bool> drained(Deadline deadline);

  void poke();  // there may be something new to read
  void look();  // what is kept was changed by command
  // Told to other nodes with every renewal of the lease.
  void set_report(std::function<std::string()> report) { report_ = std::move(report); }

  [[nodiscard]] State state() const;
  [[nodiscard]] bool holds() const;
  [[nodiscard]] const std::string& name() const { return settings_.name; }

 private:
  Task<> run();
  Task<bool> claim();
  void adopt(SubscriberRecord record);
  Task<> serve();
  Task<> keep_lease();
  Task<> save_loop();
  Task<> save();
  Task<> prepare();
  Task<> refill();
  Task<> take_redrives();
  void end_redrive();
  [[nodiscard]] std::optional<Course::Key> start_next();
  void start_turns();
  Task<> turns(Course::Key first);
  [[nodiscard]] bool wants_more() const;
  [[nodiscard]] SteadyTime next_step() const;
  // Whether it was delivered, and that is all there was.
  Task<bool> turn(Course::Key key);
  void note(const Delivery& delivery, const Verdict& verdict, Duration took);
  Task<> park(Course::Key key, Delivery delivery, Verdict verdict);
  Task<> finish_redriven(Delivery delivery);
  void pause(std::string reason);
  Task<> write_pause();
  void lose_lease();
  // Repeats what the store must take until it does or the lease is gone. False: it is gone.
  Task<bool> insist(std::string_view doing, std::function<Task<Result<void>>()> act);
  void trouble(std::string_view doing, const Error& error);
  [[nodiscard]] Deadline store_deadline() const;
  [[nodiscard]] double random();

  Services services_;
  Settings settings_;
  Course course_;
  std::function<std::string()> report_;
  std::unique_ptr<Signal> changed_;  // for the serving loop
  std::unique_ptr<Signal> look_;     // for whoever renews the lease or waits for one
  std::unique_ptr<Signal> progress_;
  std::unique_ptr<Signal> ended_;
  std::minstd_rand random_;

  SubscriberRecord record_;
  bool known_ = false;  // record_ is what is kept
  std::uint64_t fence_ = 0;
  SteadyTime lease_until_{};
  bool serving_ = false;
  std::size_t helpers_ = 0;
  bool running_ = false;
  bool stopping_ = false;
  std::optional<SubscriberPause> pause_wanted_;  // decided here, not yet kept

  bool prepared_ = false;
  std::uint32_t refusals_ = 0;  // to prepare
  SteadyTime prepare_at_{};
  SteadyTime read_at_{};
  bool redrives_due_ = false;
  std::size_t redriven_in_hand_ = 0;

  std::uint64_t delivered_ = 0;
  std::optional<WallTime> delivered_at_, failed_at_, away_since_;
  std::string last_error_;
  std::string last_trouble_;
};

}  // namespace daybook::core::delivery
