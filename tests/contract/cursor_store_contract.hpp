// What every cursor store does (core/ports/cursor_store.hpp). An adapter runs the suite with a
// fixture that is made anew for every case and whose store is empty then:
//
//   struct MyFixture {
//     std::string skip_reason();          // not empty: every case is skipped, visibly
//     core::CursorStore& store();
//     core::Runtime& runtime();           // its clock decides when a lease ends
//     void run(core::Task<> task);        // runs the task to its end
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(My, CursorStoreContract, MyFixture);
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/ports/cursor_store.hpp"
#include "core/ports/runtime.hpp"
#include "tests/contract/run_task.hpp"

namespace daybook::tests {

template <class Fixture>
class CursorStoreContract : public testing::Test {
 protected:
  static constexpr core::Duration kLease = std::chrono::milliseconds(600);

  void SetUp() override {
    const std::string reason = fixture_.skip_reason();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }

  core::CursorStore& store() { return fixture_.store(); }
  core::Runtime& runtime() { return fixture_.runtime(); }
  [[nodiscard]] core::Deadline soon() {
    return fixture_.runtime().steady_now() + std::chrono::seconds(20);
  }
  template <class T>
  T run(core::Task<T> task) {
    std::optional<T> out;
    fixture_.run(keep_result(std::move(task), out));
    return std::move(out.value());
  }
  void sleep(core::Duration time) { fixture_.run(fixture_.runtime().sleep(time)); }

  core::SubscriberClaim claim(const std::string& node, const std::string& process = "1",
                              const std::string& report = "") {
    auto claimed = run(store().claim("billing", {node, process}, kLease, report, soon()));
    EXPECT_TRUE(claimed) << claimed.error().detail;
    return *claimed;
  }
  core::SubscriberRecord look() {
    auto record = run(store().look("billing", soon()));
    EXPECT_TRUE(record) << record.error().detail;
    return *record;
  }
  static core::RecordId id(std::uint8_t number) {
    std::array<std::uint8_t, 16> bytes{};
    bytes[15] = number;
    return core::RecordId(bytes);
  }
  static core::ParkedDelivery parked(std::uint8_t record, std::uint64_t number) {
    core::ParkedDelivery delivery;
    delivery.number = number;
    delivery.id = id(record);
    delivery.due = {"archived", "final"};
    delivery.reason = "it answered 500 \"oh\"\nno";
    delivery.attempts = 6;
    delivery.parked_at = core::WallTime(std::chrono::microseconds(1'800'000'000'123'456));
    return delivery;
  }
  static core::ToldParking told(std::uint8_t record, std::int64_t us) {
    return {id(record), core::WallTime(std::chrono::microseconds(us))};
  }
  // Of a holder's writes.
  void expect_old_fence(const core::Result<void>& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, core::Code::conflict) << result.error().detail;
    EXPECT_EQ(result.error().origin, core::Origin::buffer);
  }

  Fixture fixture_;
};

TYPED_TEST_SUITE_P(CursorStoreContract);

TYPED_TEST_P(CursorStoreContract, nothing_is_known_of_a_new_subscriber) {
  const core::SubscriberRecord record = this->look();
  EXPECT_FALSE(record.cursor);
  EXPECT_FALSE(record.pause);
  EXPECT_EQ(record.parked, 0);
  EXPECT_EQ(record.holder, "");
}

TYPED_TEST_P(CursorStoreContract, one_node_at_a_time_has_the_lease) {
  const auto one = this->claim("one", "1", "{\"state\":\"delivering\"}");
  ASSERT_TRUE(one.granted);
  const auto two = this->claim("two", "1", "not its business");
  EXPECT_FALSE(two.granted);
  EXPECT_EQ(two.record.holder, "one");
  EXPECT_EQ(two.record.report, "{\"state\":\"delivering\"}");
  const auto again = this->claim("one", "1", "{\"state\":\"waiting\"}");
  EXPECT_TRUE(again.granted);
  EXPECT_EQ(again.fence, one.fence);
  EXPECT_EQ(again.record.report, "{\"state\":\"delivering\"}") << "what was there before";
  EXPECT_EQ(this->look().report, "{\"state\":\"waiting\"}");
}

TYPED_TEST_P(CursorStoreContract,
             a_node_that_is_silent_for_its_lease_is_taken_over_and_fenced_off) {
  const auto one = this->claim("one");
  ASSERT_TRUE(this->run(this->store().save("billing", one.fence, {"f", 3, {}}, this->soon())));
  this->sleep(this->kLease + std::chrono::milliseconds(100));
  const auto two = this->claim("two");
  ASSERT_TRUE(two.granted);
  EXPECT_GT(two.fence, one.fence);
  ASSERT_TRUE(two.record.cursor);
  EXPECT_EQ(two.record.cursor->sequence, 3);
  auto& store = this->store();
  this->expect_old_fence(this->run(store.save("billing", one.fence, {"f", 9, {}}, this->soon())));
  this->expect_old_fence(
      this->run(store.park("billing", one.fence, this->parked(1, 1), this->soon())));
  this->expect_old_fence(
      this->run(store.unpark("billing", one.fence, this->parked(1, 1).key(), this->soon())));
  this->expect_old_fence(
      this->run(store.tell("billing", one.fence, {this->told(1, 1)}, {}, this->soon())));
  EXPECT_EQ(this->look().cursor->sequence, 3);
  EXPECT_EQ(this->look().parked, 0);
}

TYPED_TEST_P(CursorStoreContract, a_node_that_was_restarted_takes_its_own_lease_over_at_once) {
  const auto before = this->claim("one", "1");
  const auto after = this->claim("one", "2");
  ASSERT_TRUE(after.granted);
  EXPECT_GT(after.fence, before.fence);
  this->expect_old_fence(
      this->run(this->store().save("billing", before.fence, {"f", 9, {}}, this->soon())));
}

TYPED_TEST_P(CursorStoreContract, a_lease_that_was_given_up_is_free) {
  const auto one = this->claim("one");
  ASSERT_TRUE(this->run(this->store().give_up("billing", {"two", "1"}, this->soon())));
  EXPECT_FALSE(this->claim("two").granted);
  ASSERT_TRUE(this->run(this->store().give_up("billing", {"one", "1"}, this->soon())));
  const auto two = this->claim("two");
  EXPECT_TRUE(two.granted);
  EXPECT_GT(two.fence, one.fence);
}

TYPED_TEST_P(CursorStoreContract, a_cursor_is_kept_with_its_feed_and_time) {
  const auto one = this->claim("one");
  const core::FeedCursor cursor{"feed-1", 12'345'678'901,
                                core::WallTime(std::chrono::microseconds(1'800'000'000'000'001))};
  ASSERT_TRUE(this->run(this->store().save("billing", one.fence, cursor, this->soon())));
  EXPECT_EQ(this->look().cursor, cursor);
  EXPECT_EQ(this->claim("one").record.cursor, cursor);
  EXPECT_FALSE(this->run(this->store().look("other", this->soon()))->cursor);
}

TYPED_TEST_P(CursorStoreContract, cursors_that_are_saved_together_have_each_its_own_outcome) {
  struct One {
    std::string name;
    std::uint64_t fence = 0;
    core::Result<void> outcome;
    bool ended = false;
  };
  std::vector<One> all;
  for (const char* name : {"billing", "audit", "search"}) {
    const auto claim =
        this->run(this->store().claim(name, {"one", "1"}, this->kLease, "", this->soon()));
    ASSERT_TRUE(claim) << claim.error().detail;
    all.push_back({.name = name, .fence = claim->fence, .outcome = {}});
  }
  ++all[1].fence;
  const auto save = [](core::CursorStore& store, One& one,
                       core::Deadline deadline) -> core::Task<> {
    one.outcome = co_await store.save(one.name, one.fence,
                                      {.feed = "f", .sequence = 7, .published_at = {}}, deadline);
    one.ended = true;
  };
  this->fixture_.run([](auto& test, auto start, std::vector<One>& ones) -> core::Task<> {
    for (One& one : ones) test.runtime().spawn(start(test.store(), one, test.soon()));
    while (!std::ranges::all_of(ones, &One::ended)) {
      co_await test.runtime().sleep(std::chrono::milliseconds(1));
    }
  }(*this, save, all));
  EXPECT_TRUE(all[0].outcome);
  ASSERT_FALSE(all[1].outcome);
  EXPECT_EQ(all[1].outcome.error().code, core::Code::conflict);
  EXPECT_TRUE(all[2].outcome);
  for (const One& one : all) {
    const auto kept = this->run(this->store().look(one.name, this->soon()));
    ASSERT_TRUE(kept) << kept.error().detail;
    EXPECT_EQ(kept->cursor.has_value(), one.name != "audit");
  }
}

TYPED_TEST_P(CursorStoreContract, parked_deliveries_are_listed_by_number_and_kept_once) {
  const auto one = this->claim("one");
  auto& store = this->store();
  for (const std::uint8_t number : {30, 7, 200}) {
    ASSERT_TRUE(
        this->run(store.park("billing", one.fence, this->parked(number, number), this->soon())));
  }
  core::ParkedDelivery again = this->parked(7, 7);
  again.attempts = 12;
  again.parking = core::WallTime(std::chrono::microseconds(5));
  ASSERT_TRUE(this->run(store.park("billing", one.fence, again, this->soon())));
  again.parking.reset();
  ASSERT_TRUE(this->run(store.park("billing", one.fence, again, this->soon())));
  auto all = this->run(store.parked("billing", 100, this->soon()));
  ASSERT_TRUE(all) << all.error().detail;
  ASSERT_EQ(all->size(), 4);  // another parking is another delivery
  EXPECT_EQ(all->at(2), this->parked(30, 30));
  EXPECT_EQ(all->at(3), this->parked(200, 200));
  EXPECT_EQ(all->at(0).attempts, 12);
  EXPECT_EQ(this->look().parked, 4);
  EXPECT_EQ(this->run(store.parked("billing", 2, this->soon()))->size(), 2);
}

TYPED_TEST_P(CursorStoreContract, parked_deliveries_are_redriven_until_they_are_gone) {
  const auto one = this->claim("one");
  auto& store = this->store();
  for (const std::uint8_t number : {1, 2, 3}) {
    ASSERT_TRUE(
        this->run(store.park("billing", one.fence, this->parked(number, number), this->soon())));
  }
  EXPECT_TRUE(this->run(store.redrives("billing", 10, this->soon()))->empty());
  EXPECT_EQ(*this->run(store.redrive("billing", this->id(2), this->soon())), 1);
  auto due = this->run(store.redrives("billing", 10, this->soon()));
  ASSERT_EQ(due->size(), 1);
  EXPECT_EQ(due->at(0).id, this->id(2));
  EXPECT_TRUE(due->at(0).redriving);
  EXPECT_EQ(this->look().redriving, 1);
  EXPECT_EQ(*this->run(store.redrive("billing", std::nullopt, this->soon())), 3);
  EXPECT_EQ(this->run(store.redrives("billing", 2, this->soon()))->size(), 2);
  // One is delivered, one refused again, one dropped.
  ASSERT_TRUE(
      this->run(store.unpark("billing", one.fence, this->parked(1, 1).key(), this->soon())));
  ASSERT_TRUE(this->run(store.park("billing", one.fence, this->parked(2, 2), this->soon())));
  EXPECT_EQ(*this->run(store.drop("billing", this->id(3), this->soon())), 1);
  EXPECT_EQ(*this->run(store.drop("billing", this->id(3), this->soon())), 0);
  const auto record = this->look();
  EXPECT_EQ(record.parked, 1);
  EXPECT_EQ(record.redriving, 0);
  EXPECT_EQ(*this->run(store.redrive("billing", this->id(9), this->soon())), 0);
}

TYPED_TEST_P(CursorStoreContract, a_pause_holds_until_it_is_ended) {
  const core::SubscriberPause pause{"its answer was 410 Gone",
                                    core::WallTime(std::chrono::microseconds(42))};
  ASSERT_TRUE(this->run(this->store().pause("billing", pause, this->soon())));
  EXPECT_EQ(this->look().pause, pause);
  EXPECT_EQ(this->claim("one").record.pause, pause);
  ASSERT_TRUE(this->run(this->store().resume("billing", this->soon())));
  ASSERT_TRUE(this->run(this->store().resume("billing", this->soon())));
  EXPECT_FALSE(this->look().pause);
}

TYPED_TEST_P(CursorStoreContract, parkings_that_were_told_are_remembered_until_forgotten) {
  const auto one = this->claim("one");
  auto& store = this->store();
  ASSERT_TRUE(this->run(store.tell("billing", one.fence,
                                   {this->told(1, 10), this->told(1, 20), this->told(2, 10)}, {},
                                   this->soon())));
  ASSERT_TRUE(this->run(
      store.tell("billing", one.fence, {this->told(3, 30)}, {this->told(1, 10)}, this->soon())));
  auto all = this->run(store.told("billing", this->soon()));
  ASSERT_TRUE(all) << all.error().detail;
  std::ranges::sort(*all);
  EXPECT_EQ(*all, (std::vector{this->told(1, 20), this->told(2, 10), this->told(3, 30)}));
}

REGISTER_TYPED_TEST_SUITE_P(CursorStoreContract, nothing_is_known_of_a_new_subscriber,
                            one_node_at_a_time_has_the_lease,
                            a_node_that_is_silent_for_its_lease_is_taken_over_and_fenced_off,
                            a_node_that_was_restarted_takes_its_own_lease_over_at_once,
                            a_lease_that_was_given_up_is_free,
                            a_cursor_is_kept_with_its_feed_and_time,
                            cursors_that_are_saved_together_have_each_its_own_outcome,
                            parked_deliveries_are_listed_by_number_and_kept_once,
                            parked_deliveries_are_redriven_until_they_are_gone,
                            a_pause_holds_until_it_is_ended,
                            parkings_that_were_told_are_remembered_until_forgotten);

}  // namespace daybook::tests
