// Records that share objects, on a virtual clock: when a segment is cut, that nobody waits for
// ever, and that what befalls one is not the others' matter.
#include "core/pipeline/segment_writer.hpp"

#include <random>

#include "tests/unit/core/pipeline/pipeline_world.hpp"

namespace daybook::tests {
namespace {

using core::Code;
using core::Origin;
using core::Retry;

WorldSettings with_segments(std::size_t records_max = 1000,
                            std::uint64_t bytes_max = 16 * core::MiB) {
  WorldSettings settings;
  settings.records_in_flight = 2000;
  settings.segments.bytes_max = bytes_max;
  settings.segments.memory_max = 2 * bytes_max;
  settings.segments.records_max = records_max;
  settings.segments.age = 5s;
  settings.segments.retry = {.attempts_max = 6, .first = 2s, .longest = 60s};
  return settings;
}

// The payloads that the rows of released records point at.
void expect_readable(World& world) {
  for (const auto& id : world.released) {
    const core::MetadataRow& row = world.metadata.rows.at(id);
    const auto slice = core::slice_of(row);
    ASSERT_TRUE(slice);
    const auto bytes =
        world.runtime.run(world.objects.get(row.object_key, *slice, core::SteadyTime::max()));
    ASSERT_TRUE(bytes) << bytes.error().detail;
    const auto checked = core::check_object(*bytes, core::CheckDepth::payload);
    ASSERT_TRUE(checked) << checked.error().detail;
    EXPECT_EQ(checked->head.envelope.id, id);
    EXPECT_EQ(checked->stored_sha256, row.stored_sha256);
  }
}

TEST(SegmentWriter, cuts_by_records_and_every_slice_is_the_record) {
  World world(with_segments(10));
  world.accept_many(100);
  world.node.pipeline.start();
  world.run_until_settled(4s);  // nobody waited for the age
  EXPECT_EQ(world.released.size(), 100u);
  EXPECT_EQ(world.objects.stored.size(), 10u);
  world.expect_nothing_lost();
  expect_readable(world);
}

TEST(SegmentWriter, cuts_when_the_first_record_has_waited_for_the_age) {
  World world(with_segments());
  world.node.pipeline.start();
  const auto begun = world.runtime.steady_now();
  world.accept_many(3);
  world.runtime.run_for(4s);
  world.accept_many(2);
  EXPECT_TRUE(world.objects.puts.empty());
  world.run_until_settled();
  ASSERT_EQ(world.objects.puts.size(), 1u);
  EXPECT_GE(world.objects.puts[0] - begun, 5s);
  EXPECT_LE(world.objects.puts[0] - begun, 6s);
  EXPECT_EQ(world.released.size(), 5u);
}

TEST(SegmentWriter, no_segment_is_larger_than_it_may_be) {
  World world(with_segments(1000, 64 * core::KiB));
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    std::string payload(1 + random() % 3000, ' ');
    for (char& c : payload) c = static_cast<char>(random());
    world.accept(payload, "application/octet-stream");
  }
  world.node.pipeline.start();
  world.run_until_settled(1min);
  EXPECT_EQ(world.released.size(), 200u);
  EXPECT_LT(world.objects.stored.size(), 15u);
  for (const std::string& key : world.objects.stored) {
    const auto info = world.runtime.run(world.objects.head(key, core::SteadyTime::max()));
    EXPECT_LE(info->size, 64 * core::KiB);
  }
  expect_readable(world);
}

TEST(SegmentWriter, a_large_record_is_an_object_of_its_own_and_waits_for_nobody) {
  World world(with_segments(1000, 64 * core::KiB));
  std::string payload(9000, ' ');
  std::mt19937 random(1);
  for (char& c : payload) c = static_cast<char>(random());
  world.node.pipeline.start();
  const auto large = world.accept(payload);
  const auto small = world.accept("small");
  world.runtime.run_for(1s);
  EXPECT_EQ(world.released, std::vector{large});
  EXPECT_EQ(world.metadata.rows.at(large).object_key.find("segment-"), std::string::npos);
  world.run_until_settled();
  EXPECT_NE(world.metadata.rows.at(small).object_key.find("segment-"), std::string::npos);
}

TEST(SegmentWriter, kinds_do_not_mix) {
  World world(with_segments());
  for (int i = 0; i < 10; ++i) {
    world.accept("{}", "application/json");
    world.accept("{}", "application/x-ndjson");
  }
  world.node.pipeline.start();
  world.run_until_settled();
  EXPECT_EQ(world.objects.stored.size(), 2u);
  expect_readable(world);
}

TEST(SegmentWriter, a_damaged_record_is_parked_alone) {
  World world(with_segments());
  world.accept_many(10);
  const auto damaged = world.accept("will be flipped");
  std::string& bytes = world.store->bytes.at(damaged);
  bytes[core::open_head(core::as_bytes(bytes))->data_offset + 7] ^= 1;
  world.node.pipeline.start();
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 10u);
  EXPECT_TRUE(world.store->parked.contains(damaged));
  EXPECT_EQ(world.objects.stored.size(), 1u);
}

TEST(SegmentWriter, a_put_that_fails_is_repeated_as_it_was) {
  for (const bool after : {false, true}) {
    World world(with_segments());
    std::set<std::string> keys;
    world.objects.on_put = [&](std::string key) -> core::Task<> {
      keys.insert(key);
      co_return;
    };
    world.objects.decide = [&, failed = 0]() mutable -> std::optional<StoreFault> {
      if (++failed > 3) return std::nullopt;
      return StoreFault{outage(Origin::object_store, Retry::unknown_outcome), after};
    };
    world.accept_many(500);
    world.node.pipeline.start();
    world.run_until_settled(3min);
    EXPECT_EQ(world.released.size(), 500u);
    EXPECT_EQ(keys.size(), 1u);
    EXPECT_EQ(world.objects.puts.size(), 4u) << "one try a group, not a record";
    for (std::size_t i = 1; i < world.objects.puts.size(); ++i) {
      EXPECT_GE(world.objects.puts[i] - world.objects.puts[i - 1], 1s);
    }
    EXPECT_TRUE(world.store->parked.empty());
    world.expect_nothing_lost();
    expect_readable(world);
  }
}

TEST(SegmentWriter, an_outage_parks_and_its_end_brings_all_back) {
  World world(with_segments(50));
  world.objects.decide = [] { return StoreFault{outage(Origin::object_store)}; };
  world.accept_many(120);
  world.node.pipeline.start();
  world.run_until_settled();
  EXPECT_EQ(world.store->parked.size(), 120u);
  world.expect_nothing_lost();
  world.objects.decide = nullptr;
  world.runtime.run_until([&] { return world.store->parked.empty(); }, 1h);
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 120u);
  EXPECT_LE(world.objects.stored.size(), 6u);
  expect_readable(world);
}

TEST(SegmentWriter, a_final_refusal_of_the_segment_is_only_its_records_own_where_they_are_alone) {
  World world(with_segments());
  std::string last;
  world.objects.on_put = [&](std::string key) -> core::Task<> {
    last = std::move(key);
    co_return;
  };
  world.accept_many(9);
  const auto bad = world.accept("the store hates it");
  const std::string bad_key = world.key_of(bad);
  world.objects.decide = [&]() -> std::optional<StoreFault> {
    if (!core::segment_of_key(last) && last != bad_key) return std::nullopt;
    return StoreFault{{Code::too_large, Origin::object_store, Retry::never, "no"}};
  };
  world.node.pipeline.start();
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 9u);
  EXPECT_EQ(world.store->parked.size(), 1u);
  EXPECT_TRUE(world.store->parked.contains(bad));
}

TEST(SegmentWriter, a_store_that_refuses_all_is_asked_by_one_and_keeps_nobody) {
  World world(with_segments());
  bool refuses = true;
  world.objects.decide = [&]() -> std::optional<StoreFault> {
    if (!refuses) return std::nullopt;
    return StoreFault{{Code::denied, Origin::object_store, Retry::safe, "wrong key"}};
  };
  world.accept_many(100);
  world.node.pipeline.start();
  world.runtime.run_for(30min);
  EXPECT_TRUE(world.store->parked.empty());
  EXPECT_LT(world.objects.puts.size(), 60u);
  refuses = false;
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 100u);
  expect_readable(world);
}

TEST(SegmentWriter, stop_cuts_at_once_and_finishes) {
  World world(with_segments());
  world.node.pipeline.start();
  world.accept_many(20);
  world.runtime.run_for(1s);
  const auto begun = world.runtime.steady_now();
  world.node.pipeline.stop();
  EXPECT_TRUE(world.runtime.run(world.node.pipeline.drained(begun + 1min)));
  EXPECT_LT(world.runtime.steady_now() - begun, 1s);
  EXPECT_EQ(world.released.size(), 20u);
  EXPECT_EQ(world.objects.stored.size(), 1u);
}

TEST(SegmentWriter, what_a_dead_process_had_in_hand_shares_no_object) {
  World world(with_segments());
  world.accept_many(5);
  ASSERT_TRUE(world.runtime.run(world.node.buffer.read(5, 1ms)));  // an earlier run of this node
  world.accept_many(5);
  world.node.pipeline.start();
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 10u);
  EXPECT_EQ(world.objects.stored.size(), 6u);
  expect_readable(world);
}

// Directly: how much it holds.
TEST(SegmentWriter, gives_no_more_room_than_it_has) {
  VirtualRuntime runtime;
  InlineWorkers workers;
  FlakyObjectStore store(runtime);
  auto settings = with_segments(1000, 32 * core::KiB).segments;
  settings.memory_max = 64 * core::KiB;
  core::pipeline::SegmentWriter writer(runtime, workers, store, "", 8, 30s, settings);
  EXPECT_TRUE(writer.takes(2 * core::KiB));
  EXPECT_FALSE(writer.takes(2 * core::KiB + 1));
  std::vector<core::Budget::Share> held;
  for (int i = 0; i < 32; ++i) {
    auto share = runtime.run(writer.room(2 * core::KiB));
    ASSERT_TRUE(share);
    held.push_back(std::move(*share));
  }
  const auto begun = runtime.steady_now();
  EXPECT_FALSE(runtime.run(writer.room(2 * core::KiB)));
  EXPECT_GE(runtime.steady_now() - begun, 30s) << "it waits before it goes alone";
  held.pop_back();
  EXPECT_TRUE(runtime.run(writer.room(2 * core::KiB)));
  writer.stop();
  EXPECT_FALSE(writer.takes(1));
}

TEST(SegmentWriter, little_memory_slows_and_stops_nobody) {
  WorldSettings settings = with_segments(1000, 32 * core::KiB);
  settings.segments.memory_max = 32 * core::KiB;
  World world(settings);
  world.objects.takes = 500ms;
  std::mt19937 random(2);
  for (int i = 0; i < 300; ++i) {
    world.accept(std::string(100 + random() % 1500, static_cast<char>('a' + random() % 26)),
                 i % 2 == 0 ? "application/json" : "text/csv");
  }
  world.node.pipeline.start();
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 300u);
  expect_readable(world);
}

TEST(SegmentWriter, loses_nothing_under_a_hundred_schedules_of_faults) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    WorldSettings settings = with_segments(1 + seed % 30);
    settings.seed = seed;
    World world(settings);
    std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
    const auto sometimes = [&random](Origin origin) {
      return [&random, origin]() -> std::optional<StoreFault> {
        const auto dice = random() % 10;
        if (dice > 3) return std::nullopt;
        return StoreFault{outage(origin, dice == 0 ? Retry::unknown_outcome : Retry::safe),
                          dice == 0};
      };
    };
    world.objects.decide = sometimes(Origin::object_store);
    world.metadata.decide = sometimes(Origin::metadata);
    world.objects.takes = std::chrono::milliseconds(random() % 2000);
    world.node.pipeline.start();
    for (int i = 0; i < 60; ++i) {
      world.accept("payload " + std::to_string(i), i % 3 == 0 ? "application/json" : "text/plain");
      if (i % 10 == 0) world.runtime.run_for(std::chrono::milliseconds(random() % 3000));
    }
    world.runtime.run_until(
        [&] { return world.store->pending.empty() && world.store->parked.empty(); }, 12h);
    EXPECT_EQ(world.released.size(), 60u);
    world.expect_nothing_lost();
    expect_readable(world);
  }
}

}  // namespace
}  // namespace daybook::tests
