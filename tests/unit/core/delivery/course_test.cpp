// Whose turn it is: order per partition, absences, refusals, pauses, rates and the cursor.
#include "core/delivery/course.hpp"

#include <gtest/gtest.h>

namespace daybook::core::delivery {
namespace {

using namespace std::chrono_literals;
using Key = Course::Key;
using Next = Course::Next;

const Verdict kDelivered;
const Verdict kAway{
    .kind = Verdict::Kind::away, .reason = "connect", .detail = "no", .retry_after = {}};
const Verdict kFailed{
    .kind = Verdict::Kind::failed, .reason = "status_5xx", .detail = "500", .retry_after = {}};

class DeliveryCourse : public testing::Test {
 protected:
  static Course::Settings settings(std::size_t parallel = 1) {
    return {.in_hand_max = 8,
            .parallel = parallel,
            .retry = {.attempts_max = 3, .first = 2s, .longest = 60s},
            .pause_after = 2};
  }
  static Delivery delivery(std::uint64_t number, std::uint32_t partition = 0,
                           std::vector<Event> due = {Event::final}) {
    Delivery made;
    made.number = number;
    made.partition = partition;
    made.due = std::move(due);
    return made;
  }
  void start(Course& course, std::uint64_t number, bool redriven = false) {
    course.start({number, redriven}, now);
  }
  Next end(Course& course, std::uint64_t number, const Verdict& verdict, bool redriven = false) {
    return course.ended({number, redriven}, verdict, now, 1.0);
  }
  std::uint64_t turn(const Course& course) const {
    const auto key = course.next(now);
    return key ? key->number : 0;
  }

  SteadyTime now = SteadyTime(1h);
};

TEST_F(DeliveryCourse, notices_of_a_record_go_one_after_the_other_and_records_in_order) {
  Course course(settings());
  course.begin(10);
  course.add(delivery(11, 0, {Event::started, Event::final}));
  course.add(delivery(12));
  EXPECT_EQ(turn(course), 11);
  start(course, 11);
  EXPECT_EQ(turn(course), 0);
  EXPECT_EQ(course.cursor(), 10);
  EXPECT_EQ(end(course, 11, kDelivered), Next::nothing);
  EXPECT_EQ(course.delivery({11, false}).due, std::vector{Event::final});
  EXPECT_EQ(course.cursor(), 10);
  EXPECT_EQ(turn(course), 11);
  start(course, 11);
  EXPECT_EQ(end(course, 11, kDelivered), Next::finished);
  EXPECT_EQ(course.cursor(), 11);
  EXPECT_EQ(turn(course), 12);
}

TEST_F(DeliveryCourse, never_two_of_one_partition_at_once) {
  Course course(settings(3));
  course.begin(0);
  course.add(delivery(1, 7));
  course.add(delivery(2, 7));
  course.add(delivery(3, 8));
  course.add(delivery(4, 9));
  course.add(delivery(5, 10));
  for (const std::uint64_t number : {1, 3, 4}) {
    EXPECT_EQ(turn(course), number);
    start(course, number);
  }
  EXPECT_EQ(turn(course), 0);  // three are under way
  EXPECT_EQ(end(course, 4, kDelivered), Next::finished);
  EXPECT_EQ(turn(course), 5);
  EXPECT_EQ(course.cursor(), 0);  // the first is not done
  EXPECT_EQ(end(course, 1, kDelivered), Next::finished);
  EXPECT_EQ(course.cursor(), 1);
  EXPECT_EQ(turn(course), 2);
}

TEST_F(DeliveryCourse, what_is_of_no_interest_is_passed_over) {
  Course course(settings());
  course.begin(0);
  course.add(delivery(1, 0, {}));
  EXPECT_EQ(course.cursor(), 1);
  course.add(delivery(2));
  course.add(delivery(3, 0, {}));
  EXPECT_EQ(course.cursor(), 1);
  EXPECT_EQ(course.read_to(), 3);
  EXPECT_EQ(course.room(), 7);
  start(course, 2);
  EXPECT_EQ(end(course, 2, kDelivered), Next::finished);
  EXPECT_EQ(course.cursor(), 3);
}

TEST_F(DeliveryCourse, a_refusal_holds_up_its_partition_only_and_is_parked_in_the_end) {
  Course course(settings());
  course.begin(0);
  course.add(delivery(1, 1, {Event::archived, Event::final}));
  course.add(delivery(2, 1));
  course.add(delivery(3, 2));
  start(course, 1);
  EXPECT_EQ(end(course, 1, kFailed), Next::nothing);
  EXPECT_EQ(turn(course), 3);
  start(course, 3);
  EXPECT_EQ(end(course, 3, kDelivered), Next::finished);
  EXPECT_EQ(turn(course), 0);
  EXPECT_EQ(course.wake(), now + 2s);
  now += 2s;
  EXPECT_EQ(turn(course), 1);
  start(course, 1);
  EXPECT_EQ(end(course, 1, kFailed), Next::nothing);
  EXPECT_EQ(course.wake(), now + 4s);
  now += 4s;
  start(course, 1);
  EXPECT_EQ(end(course, 1, kFailed), Next::park);
  EXPECT_EQ(turn(course), 0);  // until it is kept
  EXPECT_EQ(course.cursor(), 0);
  EXPECT_EQ(course.delivery({1, false}).due.size(), 2);
  EXPECT_EQ(course.parked({1, false}), Next::nothing);
  EXPECT_EQ(course.cursor(), 1);
  EXPECT_EQ(turn(course), 2);
}

TEST_F(DeliveryCourse, refusals_of_one_notice_do_not_count_against_the_next) {
  Course course(settings());
  course.begin(0);
  course.add(delivery(1, 1, {Event::archived, Event::final}));
  for (int i = 0; i < 2; ++i) {
    start(course, 1);
    EXPECT_EQ(end(course, 1, kFailed), Next::nothing);
    now += 1min;
  }
  start(course, 1);
  EXPECT_EQ(end(course, 1, kDelivered), Next::nothing);
  for (int i = 0; i < 2; ++i) {
    start(course, 1);
    EXPECT_EQ(end(course, 1, kFailed), Next::nothing);
    now += 1min;
  }
}

TEST_F(DeliveryCourse, an_absence_is_waited_for_by_one_probe_and_counts_against_nobody) {
  Course course(settings(3));
  course.begin(0);
  for (const std::uint64_t number : {1, 2, 3}) {
    course.add(delivery(number, static_cast<std::uint32_t>(number)));
    start(course, number);
  }
  EXPECT_EQ(end(course, 1, kAway), Next::nothing);
  EXPECT_EQ(end(course, 2, kAway), Next::nothing);  // was under way already: the wait stays
  EXPECT_EQ(end(course, 3, kAway), Next::nothing);
  EXPECT_TRUE(course.away());
  EXPECT_EQ(course.wake(), now + 2s);
  EXPECT_EQ(turn(course), 0);
  for (const auto wait : {2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    EXPECT_EQ(course.wake(), now + wait);
    now += wait;
    EXPECT_EQ(turn(course), 1);
    start(course, 1);
    EXPECT_EQ(turn(course), 0);  // one tries for all
    EXPECT_EQ(end(course, 1, kAway), Next::nothing);
  }
  now += 60s;
  start(course, 1);
  EXPECT_EQ(end(course, 1, kDelivered), Next::finished);
  EXPECT_FALSE(course.away());
  EXPECT_EQ(turn(course), 2);
  start(course, 2);
  EXPECT_EQ(turn(course), 3);
  EXPECT_EQ(course.attempts({2, false}), 0);
}

TEST_F(DeliveryCourse, an_answer_that_refuses_shows_that_it_is_there) {
  Course course(settings());
  course.begin(0);
  course.add(delivery(1, 1));
  course.add(delivery(2, 2));
  start(course, 1);
  EXPECT_EQ(end(course, 1, kAway), Next::nothing);
  now += 2s;
  start(course, 1);
  EXPECT_EQ(end(course, 1, kFailed), Next::nothing);
  EXPECT_FALSE(course.away());
  EXPECT_EQ(turn(course), 2);
}

TEST_F(DeliveryCourse, a_longer_retry_after_is_waited_for) {
  Course course(settings(2));
  course.begin(0);
  course.add(delivery(1, 1));
  course.add(delivery(2, 2));
  start(course, 1);
  start(course, 2);
  Verdict verdict = kAway;
  verdict.retry_after = 30s;
  EXPECT_EQ(end(course, 1, verdict), Next::nothing);
  EXPECT_EQ(course.wake(), now + 30s);
  verdict.retry_after = 90s;
  EXPECT_EQ(end(course, 2, verdict), Next::nothing);
  EXPECT_EQ(course.wake(), now + 90s);
  now += 90s;
  verdict = kFailed;
  verdict.retry_after = 45s;
  start(course, 1);
  EXPECT_EQ(end(course, 1, verdict), Next::nothing);
  EXPECT_EQ(turn(course), 2);
  start(course, 2);
  EXPECT_EQ(end(course, 2, kDelivered), Next::finished);
  EXPECT_EQ(course.wake(), now + 45s);
}

TEST_F(DeliveryCourse, parked_deliveries_in_a_row_pause_it) {
  Course course(settings());
  course.begin(0);
  for (const std::uint64_t number : {1, 2, 3, 4}) course.add(delivery(number));
  const auto refuse = [&](std::uint64_t number) {
    for (int i = 0; i < 3; ++i) {
      start(course, number);
      if (end(course, number, kFailed) == Next::park) return course.parked({number, false});
      now += 1min;
    }
    return Next::finished;
  };
  EXPECT_EQ(refuse(1), Next::nothing);
  start(course, 2);
  EXPECT_EQ(end(course, 2, kDelivered), Next::finished);
  EXPECT_EQ(refuse(3), Next::nothing);  // not in a row
  EXPECT_EQ(refuse(4), Next::pause);
  course.pause();
  course.add(delivery(5));
  EXPECT_EQ(turn(course), 0);
  EXPECT_EQ(course.wake(), SteadyTime::max());
  course.resume();
  EXPECT_EQ(refuse(5), Next::nothing);  // it begins anew
}

TEST_F(DeliveryCourse, gone_asks_for_a_pause_and_keeps_the_delivery) {
  Course course(settings());
  course.begin(0);
  course.add(delivery(1));
  start(course, 1);
  const Verdict gone{
      .kind = Verdict::Kind::gone, .reason = "gone", .detail = "410", .retry_after = {}};
  EXPECT_EQ(end(course, 1, gone), Next::pause);
  EXPECT_EQ(course.cursor(), 0);
  EXPECT_EQ(course.in_hand(), 1);
}

TEST_F(DeliveryCourse, redriven_deliveries_keep_the_order_of_their_partition_and_move_no_cursor) {
  Course course(settings(2));
  course.begin(10);
  course.add(delivery(11, 1));
  course.add(delivery(12, 2));
  EXPECT_TRUE(course.redrive(delivery(5, 1)));
  EXPECT_FALSE(course.redrive(delivery(5, 1)));
  EXPECT_EQ(course.cursor(), 10);
  auto key = course.next(now);
  ASSERT_TRUE(key);
  EXPECT_EQ(*key, (Key{5, true}));
  course.start(*key, now);
  EXPECT_EQ(turn(course), 12);  // 11 waits for its partition
  EXPECT_EQ(end(course, 5, kDelivered, true), Next::finished);
  EXPECT_EQ(turn(course), 11);
  EXPECT_EQ(course.cursor(), 10);
}

TEST_F(DeliveryCourse, a_rate_spreads_the_notices) {
  Course course(settings(4));
  course.begin(0);
  course.limit_rate(30);
  course.add(delivery(1, 1));
  course.add(delivery(2, 2));
  EXPECT_EQ(turn(course), 1);
  start(course, 1);
  EXPECT_EQ(turn(course), 0);
  EXPECT_EQ(course.wake(), now + 2s);
  now += 2s;
  EXPECT_EQ(turn(course), 2);
  course.limit_rate(0);
  start(course, 2);
  course.add(delivery(3, 3));
  EXPECT_EQ(turn(course), 3);
}

}  // namespace
}  // namespace daybook::core::delivery
