// The pipeline's promise on a virtual clock: nothing leaves the buffer that is not archived and
// indexed, whatever fails, and whatever fails for a while only is done in the end.
#include <random>

#include "tests/unit/core/pipeline/pipeline_world.hpp"

namespace daybook::tests {
namespace {

using core::Code;
using core::Origin;
using core::Retry;

Decide always(core::Error error, bool after = false) {
  return [error, after] { return std::optional(StoreFault{error, after}); };
}

TEST(Pipeline, archives_then_indexes_then_releases) {
  World world;
  world.node.pipeline.start();
  world.accept_many(100);
  world.run_until_settled(1min);
  EXPECT_EQ(world.released.size(), 100u);  // check_release looked at the order
  EXPECT_TRUE(world.store->bytes.empty());
  world.expect_nothing_lost();
  for (const char* stage : {"archive", "index", "release"}) {
    EXPECT_EQ(world.node.observer.received[stage], 100u) << stage;
    EXPECT_EQ(world.node.observer.done[stage], 100u) << stage;
    EXPECT_EQ(world.node.observer.failed[stage], 0u) << stage;
  }
}

TEST(Pipeline, gives_the_row_what_the_buffer_and_the_store_said) {
  World world;
  world.node.pipeline.start();
  const auto id = world.accept("one payload");
  const std::string key = world.key_of(id);
  const core::BufferEntry entry = world.store->stream.begin()->second.entry;
  const std::string bytes = world.store->bytes.at(id);
  world.run_until_settled();
  const core::MetadataRow& row = world.metadata.rows.at(id);
  EXPECT_EQ(row.object_key, key);
  EXPECT_EQ(row.object_location, "memory:" + key);
  EXPECT_EQ(row.position, entry.position);
  EXPECT_EQ(row.stored_size, entry.stored_size);
  EXPECT_EQ(row.stored_sha256, entry.stored_sha256);
  EXPECT_EQ(row.attempts, 1u);
  EXPECT_EQ(row.state, "indexed");
  const auto object =
      world.runtime.run(world.objects.get(key, std::nullopt, core::SteadyTime::max()));
  ASSERT_TRUE(object);
  EXPECT_EQ(core::as_text(*object), bytes);
}

TEST(Pipeline, repeats_with_doubling_waits_that_are_all_jitter) {
  World world;
  world.objects.decide = always(outage(Origin::object_store));
  world.node.pipeline.start();
  world.accept();
  world.run_until_settled();
  const auto& puts = world.objects.puts;
  ASSERT_EQ(puts.size(), 6u);  // attempts_max
  core::Duration full = 2s;
  for (std::size_t i = 1; i < puts.size(); ++i, full *= 2) {
    EXPECT_LE(puts[i] - puts[i - 1], full) << "attempt " << i + 1;
  }
}

TEST(Pipeline, spreads_records_that_failed_together) {
  World world;
  world.objects.decide = always(outage(Origin::object_store));
  world.node.pipeline.start();
  world.accept_many(8);
  world.runtime.run_for(2s);
  std::set<core::SteadyTime> second;
  for (std::size_t i = 8; i < world.objects.puts.size(); ++i) second.insert(world.objects.puts[i]);
  EXPECT_GE(second.size(), 7u);
}

TEST(Pipeline, parks_after_the_last_attempt_with_stage_and_reason) {
  World world;
  world.metadata.decide = always(outage(Origin::metadata));
  world.node.pipeline.start();
  const auto id = world.accept();
  world.run_until_settled();
  const core::ParkedRecord& record = world.store->parked.at(id);
  EXPECT_EQ(record.stage, "index");
  EXPECT_EQ(record.reason, "away for a test");
  EXPECT_TRUE(record.retryable);
  EXPECT_EQ(record.attempts, 6u);
  EXPECT_EQ(world.node.observer.parked["index"], 1u);
  EXPECT_EQ(world.node.observer.failed["index"], 6u);
  EXPECT_EQ(world.node.observer.retried["index"], 5u);
  world.expect_nothing_lost();
}

TEST(Pipeline, takes_parked_records_up_again_when_the_outage_is_over) {
  World world;
  bool away = true;
  world.objects.decide = [&away]() -> std::optional<StoreFault> {
    if (!away) return std::nullopt;
    return StoreFault{outage(Origin::object_store)};
  };
  world.node.pipeline.start();
  world.accept_many(10);
  world.run_until_settled();
  ASSERT_EQ(world.store->parked.size(), 10u);
  away = false;
  world.runtime.run_until([&] { return world.released.size() == 10; }, 11min);
  world.expect_nothing_lost();
  EXPECT_TRUE(world.store->parked.empty());
}

TEST(Pipeline, leaves_records_alone_that_were_parked_just_now) {
  World world;
  world.objects.decide = always(outage(Origin::object_store));
  world.node.pipeline.start();
  const auto id = world.accept();
  world.run_until_settled();
  const auto parked_at = world.runtime.elapsed();
  world.runtime.run_until([&] { return !world.store->parked.contains(id); }, 20min);
  EXPECT_GE(world.runtime.elapsed() - parked_at, 5min);
}

TEST(Pipeline, a_short_outage_needs_no_parking) {
  World world;
  world.objects.decide = [&world]() -> std::optional<StoreFault> {
    if (world.runtime.elapsed() >= 20s) return std::nullopt;
    return StoreFault{outage(Origin::object_store)};
  };
  world.node.pipeline.start();
  world.accept_many(50);
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 50u);
  EXPECT_TRUE(world.node.observer.parked.empty());
}

TEST(Pipeline, parks_damaged_bytes_at_once_and_lets_others_pass) {
  World world;
  const auto flipped = world.accept("will be flipped in its envelope");
  const auto frame = world.accept("will be flipped in its frame");
  const auto cut = world.accept("will be cut");
  const auto swapped = world.accept("will be another record's");
  const auto good = world.accept("stays as it is");
  world.store->bytes.at(flipped)[30] ^= 1;
  std::string& bytes = world.store->bytes.at(frame);
  bytes[core::open_head(core::as_bytes(bytes))->data_offset + 7] ^= 1;
  world.store->bytes.at(cut).pop_back();
  // Sound bytes under the wrong id: length and digest fit, the envelope does not.
  world.store->bytes.at(swapped) = world.store->bytes.at(good);
  core::BufferEntry& entry = world.store->stream.at(world.store->pending.at(swapped)).entry;
  entry.stored_size = world.store->bytes.at(good).size();
  entry.stored_sha256 = core::sha256(core::as_bytes(world.store->bytes.at(good)));
  world.node.pipeline.start();
  world.run_until_settled(2s);
  EXPECT_EQ(world.released, std::vector{good});
  for (const auto& id : {flipped, frame, cut, swapped}) {
    const core::ParkedRecord& record = world.store->parked.at(id);
    EXPECT_EQ(record.stage, "archive");
    EXPECT_FALSE(record.retryable);
    EXPECT_EQ(record.attempts, 1u);
    EXPECT_NE(record.reason.find("damaged"), std::string::npos) << record.reason;
  }
  // Nobody tries them again by himself.
  world.runtime.run_for(30min);
  EXPECT_EQ(world.store->parked.size(), 4u);
  EXPECT_EQ(world.objects.stored.size(), 1u);
}

TEST(Pipeline, holds_no_more_records_than_it_may) {
  World world({.records_in_flight = 7, .archive_concurrency = 100});
  world.objects.takes = 100ms;
  world.accept_many(50);
  world.node.pipeline.start();
  std::size_t most = 0;
  world.runtime.run_until([&] {
    const auto& pipeline = world.node.pipeline;
    most = std::max(most, pipeline.in_flight("archive") + pipeline.in_flight("index") +
                              pipeline.in_flight("release"));
    return world.store->pending.empty();
  });
  EXPECT_EQ(most, 7u);
  EXPECT_LE(world.objects.running_max, 7u);
}

TEST(Pipeline, archives_no_more_at_once_than_it_may) {
  World world({.records_in_flight = 64, .archive_concurrency = 3});
  world.objects.takes = 100ms;
  world.accept_many(30);
  world.node.pipeline.start();
  world.run_until_settled();
  EXPECT_EQ(world.objects.running_max, 3u);
}

TEST(Pipeline, a_record_that_waits_for_another_attempt_holds_no_slot) {
  World world({.archive_concurrency = 1});
  std::size_t calls = 0;
  world.objects.decide = [&calls]() -> std::optional<StoreFault> {
    if (++calls != 1) return std::nullopt;
    return StoreFault{outage(Origin::object_store)};
  };
  world.accept_many(20);
  world.node.pipeline.start();
  world.runtime.run_for(900ms);  // the first retry comes after a second at the earliest
  EXPECT_EQ(world.released.size(), 19u);
}

TEST(Pipeline, takes_its_own_unfinished_entries_first_after_a_restart) {
  World world;
  world.accept_many(3);
  // An earlier run of the same node was given them and died.
  const auto given = world.runtime.run(world.node.buffer.read(3, 1ms));
  ASSERT_TRUE(given);
  ASSERT_EQ(given->size(), 3u);
  const auto fresh = world.accept("came while the node was down");
  world.node.pipeline.start();
  world.run_until_settled(1s);
  ASSERT_EQ(world.released.size(), 4u);
  EXPECT_EQ(world.released.back(), fresh);
}

TEST(Pipeline, asks_again_for_its_own_entries_until_it_has_them) {
  World world;
  world.accept_many(2);
  static_cast<void>(world.runtime.run(world.node.buffer.read(2, 1ms)));
  world.node.buffer.fail_next(BufferOperation::read_own_pending, 3, outage(Origin::buffer));
  world.node.pipeline.start();
  world.run_until_settled(10s);
  EXPECT_EQ(world.released.size(), 2u);
  EXPECT_EQ(world.node.observer.troubles.size(), 3u);
}

TEST(Pipeline, waits_while_the_buffer_is_away_and_goes_on_after_it) {
  World world;
  world.accept();
  world.node.buffer.health_now = core::Failure(outage(Origin::buffer));
  world.node.pipeline.start();
  world.runtime.run_for(1min);
  EXPECT_EQ(world.node.buffer.calls(BufferOperation::read), 0u);
  world.node.buffer.health_now = {};
  world.run_until_settled(2s);
}

TEST(Pipeline, drains_a_buffer_that_may_not_take_records) {
  World world;
  world.accept();
  world.node.buffer.health_now = core::Failure(
      core::Error{Code::misconfigured, Origin::buffer, Retry::safe, "runs without fsync"});
  world.node.pipeline.start();
  world.run_until_settled(2s);
}

TEST(Pipeline, renews_leases_every_third_of_the_lease) {
  World world;
  world.objects.takes = 10min;
  world.accept();
  world.node.pipeline.start();
  world.runtime.run_for(5min);
  const auto& times = world.node.buffer.renewals();
  ASSERT_GE(times.size(), 14u);
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_EQ(times[i] - times[i - 1], 20s);
  // So nobody else could take it, although it took ten leases.
  Node& other = world.add_node("node-2");
  const auto claimed = world.runtime.run(other.buffer.claim(60s, 100, core::SteadyTime::max()));
  ASSERT_TRUE(claimed);
  EXPECT_TRUE(claimed->empty());
  world.objects.takes = {};
  world.run_until_settled();
}

TEST(Pipeline, renews_entries_that_only_wait_in_line) {
  World world({.records_in_flight = 1});
  world.accept_many(5);
  static_cast<void>(world.runtime.run(world.node.buffer.read(5, 1ms)));
  world.objects.takes = 2min;  // the last one waits eight minutes for its turn
  Node& other = world.add_node("node-2");
  world.node.pipeline.start();
  world.runtime.run_for(1s);
  other.pipeline.start();
  world.run_until_settled();
  EXPECT_EQ(other.observer.claimed, 0u);
  EXPECT_EQ(world.node.observer.claimed, 0u) << "not even by himself";
  EXPECT_EQ(world.objects.puts.size(), 5u);
}

TEST(Pipeline, claims_the_entries_of_a_dead_node_once_their_lease_is_over) {
  World world;
  Node& dead = world.add_node("node-2");
  world.accept_many(10);
  const auto given = world.runtime.run(dead.buffer.read(10, 1ms));
  ASSERT_EQ(given->size(), 10u);
  world.node.pipeline.start();
  world.runtime.run_for(59s);
  EXPECT_TRUE(world.released.empty());
  world.run_until_settled(25s);
  EXPECT_EQ(world.node.observer.claimed, 10u);
  EXPECT_EQ(world.released.size(), 10u);
  EXPECT_EQ(world.objects.puts.size(), 10u);
  for (const auto& [id, times] : world.metadata.inserted) EXPECT_EQ(times, 1u);
}

TEST(Pipeline, does_not_claim_when_it_could_not_renew) {
  World world;
  world.objects.takes = 3min;
  world.accept();
  world.node.buffer.fail_next(BufferOperation::renew, 5, outage(Origin::buffer));
  world.node.pipeline.start();
  world.runtime.run_for(99s);
  EXPECT_EQ(world.node.buffer.calls(BufferOperation::claim), 0u);
  world.run_until_settled();
  EXPECT_EQ(world.objects.puts.size(), 1u);
}

TEST(Pipeline, a_second_delivery_of_a_record_in_hand_is_not_a_second_record) {
  World world;
  world.objects.takes = 10s;
  const auto id = world.accept();
  world.node.pipeline.start();
  world.runtime.run_for(1s);
  world.node.buffer.deliver_again(id);
  world.runtime.run_for(1s);
  world.node.buffer.deliver_again(id);
  world.run_until_settled();
  EXPECT_EQ(world.objects.puts.size(), 1u);
  EXPECT_EQ(world.metadata.inserted.at(id), 1u);
  EXPECT_EQ(world.released.size(), 1u);
}

TEST(Pipeline, two_nodes_with_one_record_make_one_row_and_one_release) {
  World world;
  world.objects.takes = 3min;
  world.accept();
  Node& other = world.add_node("node-2");
  // The first one cannot renew, loses its lease, and works on all the same.
  world.node.buffer.fail_next(BufferOperation::renew, 100, outage(Origin::buffer));
  world.node.pipeline.start();
  world.runtime.run_for(1s);
  other.pipeline.start();
  world.runtime.run_for(10min);
  EXPECT_EQ(other.observer.claimed, 1u);
  EXPECT_EQ(world.objects.puts.size(), 2u);
  EXPECT_EQ(world.metadata.rows.size(), 1u);
  EXPECT_EQ(world.released.size(), 1u);
  world.expect_nothing_lost();
}

TEST(Pipeline, a_release_that_fails_keeps_the_record_and_is_repeated) {
  World world;
  world.node.buffer.fail_next(BufferOperation::release, 2, outage(Origin::buffer));
  const auto id = world.accept();
  world.node.pipeline.start();
  world.runtime.run_for(500ms);
  EXPECT_TRUE(world.store->bytes.contains(id));
  EXPECT_TRUE(world.metadata.rows.contains(id));
  EXPECT_TRUE(world.released.empty());
  world.run_until_settled(10s);
  EXPECT_EQ(world.released.size(), 1u);
  EXPECT_EQ(world.objects.puts.size(), 1u) << "only the failed step is repeated";
}

TEST(Pipeline, a_release_whose_answer_was_lost_happens_once) {
  World world;
  world.node.buffer.fail_next(BufferOperation::release, 1,
                              outage(Origin::buffer, Retry::unknown_outcome), true);
  world.accept();
  world.node.pipeline.start();
  world.runtime.run_for(1min);
  EXPECT_EQ(world.released.size(), 1u);
  EXPECT_EQ(world.node.observer.done["release"], 1u);
  world.expect_nothing_lost();
}

TEST(Pipeline, a_record_that_cannot_be_parked_stays_and_comes_again) {
  World world;
  bool away = true;
  world.objects.decide = [&away]() -> std::optional<StoreFault> {
    if (!away) return std::nullopt;
    return StoreFault{outage(Origin::object_store)};
  };
  world.node.buffer.fail_next(BufferOperation::park, 1, outage(Origin::buffer));
  const auto id = world.accept();
  world.node.pipeline.start();
  world.runtime.run_until([&] { return world.node.buffer.calls(BufferOperation::park) == 1; });
  world.runtime.run_for(1s);
  EXPECT_TRUE(world.store->pending.contains(id));
  away = false;
  world.run_until_settled(2min);
  EXPECT_EQ(world.released.size(), 1u);
}

TEST(Pipeline, stop_leaves_unfinished_records_in_the_buffer) {
  World world;
  world.objects.decide = always(outage(Origin::object_store));
  world.accept_many(100);
  world.node.pipeline.start();
  world.runtime.run_for(1500ms);
  world.node.pipeline.stop();
  const auto before = world.runtime.elapsed();
  EXPECT_TRUE(world.runtime.run(world.node.pipeline.drained(core::SteadyTime::max())));
  EXPECT_LE(world.runtime.elapsed() - before, 1s) << "no wait between attempts holds it up";
  EXPECT_EQ(world.store->pending.size(), 100u);
  EXPECT_TRUE(world.store->parked.empty());
  world.expect_nothing_lost();
}

TEST(Pipeline, stop_lets_the_attempts_that_run_finish) {
  World world({.records_in_flight = 4});
  world.objects.takes = 5s;
  world.accept_many(10);
  world.node.pipeline.start();
  world.runtime.run_for(1s);
  world.node.pipeline.stop();
  EXPECT_FALSE(world.runtime.run(world.node.pipeline.drained(world.runtime.steady_now() + 2s)));
  EXPECT_TRUE(world.runtime.run(world.node.pipeline.drained(world.runtime.steady_now() + 1min)));
  EXPECT_EQ(world.released.size(), 4u);
  EXPECT_EQ(world.store->pending.size(), 6u);
  world.expect_nothing_lost();
}

TEST(Pipeline, tells_the_stage_of_a_record_in_hand) {
  World world;
  world.objects.takes = 5s;
  world.metadata.takes = 5s;
  const auto id = world.accept();
  EXPECT_EQ(world.node.pipeline.stage_of(id), "");
  world.node.pipeline.start();
  world.runtime.run_for(1s);
  EXPECT_EQ(world.node.pipeline.stage_of(id), "archive");
  EXPECT_EQ(world.node.pipeline.in_flight("archive"), 1u);
  world.runtime.run_for(5s);
  EXPECT_EQ(world.node.pipeline.stage_of(id), "index");
  world.run_until_settled();
  world.runtime.run_for(1s);
  EXPECT_EQ(world.node.pipeline.stage_of(id), "");
}

// --- schedules of faults ---

// Fails one call in `one_in`, half of them after the effect, until the clock passes `until`.
class FaultSchedule {
 public:
  FaultSchedule(World& world, std::uint64_t seed) : world_(world), random_(seed) {}

  std::optional<StoreFault> decide(Origin origin) {
    if (world_.runtime.elapsed() > kUntil || random_() % kOneIn != 0) return std::nullopt;
    const bool after = random_() % 2 == 0;
    const Retry retry = after ? Retry::unknown_outcome : Retry::safe;
    const Code code = random_() % 2 == 0 ? Code::timeout : Code::unavailable;
    return StoreFault{{code, origin, retry, "scheduled"}, after};
  }
  std::uint64_t next() { return random_(); }

 private:
  static constexpr auto kUntil = 10min;
  static constexpr std::uint64_t kOneIn = 3;
  World& world_;
  std::mt19937_64 random_;
};

void make_faulty(World& world, Node& node, FaultSchedule& schedule) {
  node.buffer.decide = [&schedule](BufferOperation) -> std::optional<BufferFault> {
    const auto fault = schedule.decide(Origin::buffer);
    if (!fault) return std::nullopt;
    return BufferFault{fault->error, fault->after};
  };
  world.objects.decide = [&schedule] { return schedule.decide(Origin::object_store); };
  world.metadata.decide = [&schedule] { return schedule.decide(Origin::metadata); };
}

void run_schedule(std::uint64_t seed) {
  World world({.records_in_flight = 1 + seed % 17,
               .archive_concurrency = 1 + seed % 5,
               .batch_max = 1 + seed % 9,
               .seed = seed});
  FaultSchedule schedule(world, seed);
  Node& other = world.add_node("node-2");
  make_faulty(world, world.node, schedule);
  make_faulty(world, other, schedule);
  world.objects.takes = std::chrono::milliseconds(schedule.next() % 3000);
  world.metadata.takes = std::chrono::milliseconds(schedule.next() % 300);
  world.node.pipeline.start();
  other.pipeline.start();
  std::size_t damaged = 0;
  for (int burst = 0; burst < 8; ++burst) {
    for (std::uint64_t i = schedule.next() % 6; i > 0; --i) {
      const auto id = world.accept("seed " + std::to_string(seed));
      if (schedule.next() % 20 != 0) continue;
      std::string& bytes = world.store->bytes.at(id);
      bytes[schedule.next() % bytes.size()] ^= 4;
      ++damaged;
    }
    world.runtime.run_for(std::chrono::seconds(schedule.next() % 100));
    if (!world.store->pending.empty() && schedule.next() % 2 == 0) {
      world.node.buffer.deliver_again(world.store->pending.begin()->first);
    }
    world.expect_nothing_lost();
  }
  // Somebody dies in the middle of it; his entries go to the other.
  other.pipeline.stop();
  world.runtime.run_for(10min);
  const auto finished = [&world] {
    if (!world.store->pending.empty()) return false;
    for (const auto& [id, record] : world.store->parked) {
      if (record.retryable) return false;
    }
    return true;
  };
  world.runtime.run_until(finished, 6h);
  world.expect_nothing_lost();
  for (const auto& [id, record] : world.store->parked) {
    EXPECT_NE(record.reason.find("damaged"), std::string::npos) << record.reason;
  }
  EXPECT_EQ(world.store->parked.size(), damaged);
  EXPECT_EQ(world.released.size(), world.accepted.size() - damaged);
}

TEST(Pipeline, loses_nothing_and_finishes_under_two_hundred_schedules_of_faults) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_schedule(seed);
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace daybook::tests
