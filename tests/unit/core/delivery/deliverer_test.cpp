// Delivery to one subscriber, from the feed to the cursor: at least once, in order, whatever the
// receiver, the cursor store or this process does.
#include "core/delivery/deliverer.hpp"

#include <gtest/gtest.h>

#include "tests/unit/core/delivery/delivery_world.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using core::delivery::Deliverer;
using core::delivery::FeedSource;
using core::delivery::Filter;
using Kind = Verdict::Kind;

class Delivering : public testing::Test {
 protected:
  ~Delivering() override {
    for (const auto& node : nodes_) node->deliverer.stop();
    runtime_.run_until([this] { return runtime_.tasks() == 0; });
  }

  // Records 1 … count of the feed, each in the partition that is given.
  void publish(int count, std::uint32_t partitions = 2) {
    std::vector<core::MetadataRow> rows;
    for (int i = 0; i < count; ++i) {
      const auto partition = static_cast<std::uint32_t>(published_++ % partitions);
      core::MetadataRow row = bare_row(ids_.next(runtime_.now(), partition), runtime_.now());
      row.envelope.partition = partition;
      row.envelope.tenant = published_ % 2 == 0 ? "even" : "odd";
      rows.push_back(std::move(row));
    }
    ASSERT_TRUE(runtime_.run(metadata_.insert(rows, core::SteadyTime::max())));
  }
  Deliverer& start(const std::string& node = "one", const std::string& run = "1") {
    nodes_.push_back(std::make_unique<DeliveryNode>(runtime_, metadata_, cursors_, receiver_,
                                                    notes_, feed_, settings(node, run)));
    nodes_.back()->deliverer.start();
    return nodes_.back()->deliverer;
  }
  Deliverer::Settings settings(const std::string& node, const std::string& run) const {
    Deliverer::Settings made = deliverer_settings(node, run);
    made.course.parallel = parallel_;
    made.course.pause_after = pause_after_;
    return made;
  }
  void run_until_accepted(std::size_t count) {
    runtime_.run_until([&] { return receiver_.accepted.size() >= count; });
  }
  core::SubscriberRecord kept() {
    return *runtime_.run(cursors_.look("billing", core::SteadyTime::max()));
  }
  void expect_saved(std::uint64_t sequence) {
    runtime_.run_for(1s);
    ASSERT_TRUE(kept().cursor);
    EXPECT_EQ(kept().cursor->sequence, sequence);
  }
  static std::vector<std::string> finals(std::vector<int> numbers) {
    std::vector<std::string> all;
    for (const int number : numbers) all.push_back(std::to_string(number) + " final");
    return all;
  }

  VirtualRuntime runtime_;
  MemoryMetadataStore metadata_;
  MemoryCursorStore cursors_{runtime_};
  Receiver receiver_{runtime_};
  DeliveryNotes notes_;
  FeedSource::Settings feed_{.name = "billing", .events = {Event::final}, .filter = {}};
  std::size_t parallel_ = 1;
  std::uint32_t pause_after_ = 3;
  core::RecordIdGenerator ids_;
  int published_ = 0;
  std::vector<std::unique_ptr<DeliveryNode>> nodes_;
};

TEST_F(Delivering, everything_once_and_in_order_and_what_comes_later_too) {
  publish(20);
  start();
  run_until_accepted(20);
  publish(3);
  run_until_accepted(23);
  runtime_.run_for(1min);
  EXPECT_EQ(receiver_.accepted, finals({1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                        13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}));
  expect_saved(23);
  EXPECT_LE(cursors_.saves, 8);
  EXPECT_EQ(nodes_[0]->deliverer.state().word, "delivering");
  EXPECT_EQ(nodes_[0]->deliverer.state().lag, 0);
}

TEST_F(Delivering, all_notices_of_a_record_in_their_order) {
  feed_.events = {Event::started, Event::archived, Event::indexed, Event::final};
  publish(2);
  start();
  run_until_accepted(8);
  EXPECT_EQ(receiver_.accepted,
            (std::vector<std::string>{"1 started", "1 archived", "1 indexed", "1 final",
                                      "2 started", "2 archived", "2 indexed", "2 final"}));
}

TEST_F(Delivering, a_subscriber_that_is_away_for_a_day_gets_everything_once_when_it_returns) {
  bool away = true;
  receiver_.answer = [&away](const Delivery&, Event) {
    return away ? verdict(Kind::away) : Verdict{};
  };
  publish(30);
  start();
  runtime_.run_for(12h);
  publish(10);
  nodes_[0]->source.set_last(40);
  runtime_.run_for(12h);
  EXPECT_TRUE(receiver_.accepted.empty());
  EXPECT_LT(receiver_.attempts, 5000);  // full jitter up to a minute
  EXPECT_EQ(nodes_[0]->deliverer.state().word, "waiting");
  EXPECT_EQ(nodes_[0]->deliverer.state().lag, 40);
  EXPECT_EQ(notes_.away, 1);
  away = false;
  run_until_accepted(40);
  runtime_.run_for(1min);
  ASSERT_EQ(receiver_.accepted.size(), 40);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(receiver_.accepted[static_cast<std::size_t>(i)], std::to_string(i + 1) + " final");
  }
  EXPECT_EQ(notes_.back, 1);
  EXPECT_TRUE(notes_.parked.empty());
}

TEST_F(Delivering, lanes_keep_the_order_of_each_partition) {
  parallel_ = 4;
  receiver_.takes = 50ms;
  publish(60, 3);
  start();
  run_until_accepted(60);
  EXPECT_FALSE(receiver_.two_of_a_partition);
  EXPECT_EQ(receiver_.at_once_max, 3);
  std::map<int, int> last;
  for (const std::string& one : receiver_.accepted) {
    const int number = std::stoi(one);
    EXPECT_GT(number, last[number % 3]);
    last[number % 3] = number;
  }
  expect_saved(60);
}

TEST_F(Delivering, a_record_that_is_refused_is_parked_alone_and_redriven_by_command) {
  bool mended = false;
  receiver_.answer = [&mended](const Delivery& delivery, Event event) {
    return delivery.number == 3 && event == Event::final && !mended
               ? verdict(Kind::failed, "status_5xx")
               : Verdict{};
  };
  feed_.events = {Event::archived, Event::final};
  publish(6, 1);
  start();
  run_until_accepted(11);
  expect_saved(6);
  ASSERT_EQ(notes_.parked.size(), 1);
  EXPECT_EQ(notes_.parked[0].due, std::vector<std::string>{"final"});
  EXPECT_EQ(notes_.parked[0].attempts, 3);
  EXPECT_EQ(receiver_.accepted[4], "3 archived");
  EXPECT_EQ(receiver_.accepted[5], "4 archived");
  EXPECT_EQ(kept().parked, 1);
  // Again in vain, and then not.
  ASSERT_EQ(*runtime_.run(cursors_.redrive("billing", std::nullopt, core::SteadyTime::max())), 1);
  nodes_[0]->deliverer.look();
  runtime_.run_until([this] { return notes_.parked.size() == 2; });
  runtime_.run_for(5s);
  EXPECT_EQ(kept().parked, 1);
  EXPECT_EQ(kept().redriving, 0);
  mended = true;
  ASSERT_EQ(*runtime_.run(cursors_.redrive("billing", std::nullopt, core::SteadyTime::max())), 1);
  run_until_accepted(12);
  EXPECT_EQ(receiver_.accepted.back(), "3 final");
  runtime_.run_for(5s);
  EXPECT_EQ(kept().parked, 0);
  expect_saved(6);
  EXPECT_EQ(nodes_[0]->deliverer.state().record.parked, 0);
}

TEST_F(Delivering, many_parked_deliveries_are_all_redriven) {
  bool mended = false;
  receiver_.answer = [&mended](const Delivery& delivery, Event) {
    return delivery.number % 2 == 0 && !mended ? verdict(Kind::failed, "status_4xx") : Verdict{};
  };
  pause_after_ = 0;
  publish(60);
  start();
  run_until_accepted(30);
  runtime_.run_until([this] { return notes_.parked.size() == 30; });
  mended = true;
  ASSERT_EQ(*runtime_.run(cursors_.redrive("billing", std::nullopt, core::SteadyTime::max())), 30);
  nodes_[0]->deliverer.look();
  run_until_accepted(60);
  runtime_.run_for(5s);
  EXPECT_EQ(kept().parked, 0);
  EXPECT_EQ(receiver_.accepted.size(), 60);
}

TEST_F(Delivering, gone_pauses_at_once_and_a_resume_goes_on_with_the_same_record) {
  bool gone = true;
  receiver_.answer = [&gone](const Delivery& delivery, Event) {
    return gone && delivery.number == 4 ? verdict(Kind::gone, "gone") : Verdict{};
  };
  publish(10);
  start();
  run_until_accepted(3);
  runtime_.run_for(1h);
  EXPECT_EQ(receiver_.attempts, 4);
  ASSERT_EQ(notes_.pauses.size(), 1);
  ASSERT_TRUE(kept().pause);
  EXPECT_EQ(kept().pause->reason, notes_.pauses[0]);
  EXPECT_EQ(nodes_[0]->deliverer.state().word, "paused");
  gone = false;
  ASSERT_TRUE(runtime_.run(cursors_.resume("billing", core::SteadyTime::max())));
  run_until_accepted(10);
  EXPECT_EQ(receiver_.accepted, finals({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(Delivering, it_pauses_by_itself_when_it_parks_one_after_the_other) {
  bool broken = true;
  receiver_.answer = [&broken](const Delivery&, Event) {
    return broken ? verdict(Kind::failed, "status_4xx") : Verdict{};
  };
  publish(10, 1);
  start();
  runtime_.run_for(1h);
  EXPECT_EQ(notes_.parked.size(), 3);
  ASSERT_EQ(notes_.pauses.size(), 1);
  EXPECT_NE(notes_.pauses[0].find("3 deliveries in a row"), std::string::npos);
  expect_saved(3);
  broken = false;
  ASSERT_TRUE(runtime_.run(cursors_.resume("billing", core::SteadyTime::max())));
  ASSERT_EQ(*runtime_.run(cursors_.redrive("billing", std::nullopt, core::SteadyTime::max())), 3);
  run_until_accepted(10);
  runtime_.run_for(10s);
  std::vector<std::string> got = receiver_.accepted;
  std::ranges::sort(got, {}, [](const std::string& one) { return std::stoi(one); });
  EXPECT_EQ(got, finals({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(Delivering, a_pause_by_command_stops_it_and_a_resume_goes_on) {
  receiver_.takes = 1s;
  publish(20);
  start();
  run_until_accepted(3);
  const core::SubscriberPause pause{.reason = "maintenance", .at = runtime_.now()};
  ASSERT_TRUE(runtime_.run(cursors_.pause("billing", pause, core::SteadyTime::max())));
  nodes_[0]->deliverer.look();
  runtime_.run_for(1h);
  EXPECT_LE(receiver_.accepted.size(), 4);  // one was under way
  ASSERT_TRUE(runtime_.run(cursors_.resume("billing", core::SteadyTime::max())));
  run_until_accepted(20);
}

TEST_F(Delivering, a_process_that_follows_goes_on_from_the_cursor) {
  publish(10);
  start("one", "1");
  run_until_accepted(10);
  runtime_.run_for(1s);
  nodes_[0]->deliverer.stop();
  runtime_.run_until([this] { return runtime_.tasks() == 0; });
  publish(5);
  start("two", "1");
  run_until_accepted(15);
  EXPECT_EQ(receiver_.accepted, finals({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
}

TEST_F(Delivering, cursors_are_saved_at_moments_that_are_the_same_for_all) {
  start();
  runtime_.run_for(37ms);
  for (int round = 1; round <= 5; ++round) {
    publish(round);
    const std::uint64_t before = cursors_.saves;
    runtime_.run_until([&] { return cursors_.saves > before; });
    EXPECT_EQ(runtime_.steady_now().time_since_epoch() % 250ms, core::Duration(0));
    runtime_.run_for(1s);
  }
  EXPECT_EQ(kept().cursor->sequence, 15);
}

TEST_F(Delivering, what_was_under_way_when_a_node_lost_its_lease_comes_again_under_the_same_id) {
  receiver_.takes = 30ms;
  publish(40);
  start("one", "1");
  run_until_accepted(10);
  // The same node, started again: the lease is its own at once, and the old process is fenced off.
  start("one", "2");
  run_until_accepted(40);
  runtime_.run_for(1min);
  std::map<std::string, int> times;
  for (const std::string& id : receiver_.ids) ++times[id];
  EXPECT_EQ(times.size(), 40);
  EXPECT_LT(receiver_.ids.size(), 60);
  expect_saved(40);
  EXPECT_EQ(nodes_[0]->deliverer.state().word, "standby");
}

TEST_F(Delivering, one_of_two_nodes_delivers_and_the_other_shows_what_it_knows) {
  publish(10);
  start("one");
  run_until_accepted(1);
  start("two");
  run_until_accepted(10);
  runtime_.run_for(1min);
  EXPECT_EQ(receiver_.accepted.size(), 10);
  const Deliverer::State other = nodes_[1]->deliverer.state();
  EXPECT_EQ(other.word, "standby");
  EXPECT_EQ(other.record.holder, "one");
  EXPECT_EQ(other.cursor, 10);
  nodes_[0]->deliverer.stop();
  publish(5);
  run_until_accepted(15);
  EXPECT_EQ(nodes_[1]->deliverer.state().word, "delivering");
}

TEST_F(Delivering, without_the_cursor_store_it_stops_before_its_lease_ends_and_goes_on_later) {
  receiver_.takes = 500ms;
  publish(200, 1);
  start();
  run_until_accepted(2);
  cursors_.away = true;
  runtime_.run_for(10s);
  const std::size_t then = receiver_.accepted.size();
  EXPECT_GE(then, 10);
  runtime_.run_for(10min);
  EXPECT_EQ(receiver_.accepted.size(), then);
  EXPECT_EQ(nodes_[0]->deliverer.state().word, "unknown");
  EXPECT_LE(notes_.troubles.size(), 6);  // the same trouble is said once
  cursors_.away = false;
  runtime_.run_until([this] { return kept().cursor && kept().cursor->sequence == 200; });
  std::set<std::string> distinct(receiver_.ids.begin(), receiver_.ids.end());
  EXPECT_EQ(distinct.size(), 200);
}

TEST_F(Delivering, a_store_that_was_emptied_repeats_nothing_that_this_process_had_saved) {
  publish(10);
  start();
  run_until_accepted(10);
  runtime_.run_for(1s);
  cursors_.forget_everything();
  publish(5);
  run_until_accepted(15);
  runtime_.run_for(1min);
  EXPECT_LE(receiver_.accepted.size(), 20);
  for (std::size_t i = 15; i < receiver_.accepted.size(); ++i) {
    EXPECT_GT(std::stoi(receiver_.accepted[i]), 10);
  }
  expect_saved(15);
}

TEST_F(Delivering, only_what_the_filter_wants_and_the_cursor_passes_over_the_rest) {
  feed_.filter = *Filter::parse({{"tenant", "even"}});
  publish(100);
  start();
  run_until_accepted(50);
  EXPECT_EQ(receiver_.accepted[0], "2 final");
  publish(1);
  runtime_.run_for(10s);
  EXPECT_EQ(receiver_.accepted.size(), 50);
  expect_saved(101);
}

TEST_F(Delivering, a_new_subscriber_may_begin_with_what_comes) {
  feed_.from_now = true;
  publish(10);
  start();
  runtime_.run_for(2s);
  expect_saved(10);
  publish(3);
  run_until_accepted(3);
  EXPECT_EQ(receiver_.accepted, finals({11, 12, 13}));
}

TEST_F(Delivering, a_cursor_of_another_feed_counts_by_its_time) {
  publish(10);
  const auto claim =
      *runtime_.run(cursors_.claim("billing", {"zero", "0"}, 1s, "", core::SteadyTime::max()));
  // Whatever number it is, it means nothing here; all of this feed was published after its time.
  const core::FeedCursor foreign{"another", 1'000'000, core::WallTime(std::chrono::hours(1))};
  ASSERT_TRUE(
      runtime_.run(cursors_.save("billing", claim.fence, foreign, core::SteadyTime::max())));
  start();
  run_until_accepted(10);
  expect_saved(10);
  EXPECT_EQ(kept().cursor->feed, "memory");
}

TEST_F(Delivering, nothing_is_sent_before_it_is_permitted_and_then_at_the_rate_allowed) {
  bool permitted = false;
  receiver_.permission = [&permitted] {
    return permitted ? Verdict{} : verdict(Kind::away, "permission");
  };
  receiver_.rate = 60;
  publish(10, 10);
  parallel_ = 4;
  start();
  runtime_.run_for(1h);
  EXPECT_EQ(receiver_.attempts, 0);
  EXPECT_EQ(nodes_[0]->deliverer.state().word, "waiting");
  EXPECT_LT(receiver_.permissions_asked, 500);
  permitted = true;
  run_until_accepted(1);
  const core::Duration began = runtime_.elapsed();
  run_until_accepted(10);
  EXPECT_GE(runtime_.elapsed() - began, 9s);
  EXPECT_LE(runtime_.elapsed() - began, 11s);
}

TEST_F(Delivering, a_redriven_delivery_whose_record_is_gone_is_forgotten) {
  publish(1);
  const auto claim =
      *runtime_.run(cursors_.claim("billing", {"zero", "0"}, 1s, "", core::SteadyTime::max()));
  core::ParkedDelivery lost;
  lost.number = 1;
  lost.due = {"final"};
  ASSERT_TRUE(runtime_.run(cursors_.park("billing", claim.fence, lost, core::SteadyTime::max())));
  ASSERT_EQ(*runtime_.run(cursors_.redrive("billing", std::nullopt, core::SteadyTime::max())), 1);
  start();
  run_until_accepted(1);
  runtime_.run_for(10s);
  EXPECT_EQ(kept().parked, 0);
}

}  // namespace
}  // namespace daybook::tests
