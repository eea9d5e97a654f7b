// A target that refuses every record (wrong key, no such bucket): nobody is parked for it, it is
// asked at most once a second, and what was held goes on when it is mended.
#include "tests/unit/core/pipeline/pipeline_world.hpp"

namespace daybook::tests {
namespace {

core::Error refusal(core::Code code = core::Code::denied) {
  return {code, core::Origin::object_store, core::Retry::never, "refused for a test"};
}

struct Refusing {
  explicit Refusing(World& world, core::Code code = core::Code::denied) {
    world.objects.decide = [this, code]() -> std::optional<StoreFault> {
      if (!refuses) return std::nullopt;
      return StoreFault{refusal(code)};
    };
  }
  bool refuses = true;
};

TEST(PipelineRefusal, holds_the_records_asks_at_most_once_a_second_and_goes_on_when_mended) {
  for (const core::Code code : {core::Code::denied, core::Code::misconfigured}) {
    World world;
    Refusing store(world, code);
    world.node.pipeline.start();
    world.accept_many(100);
    world.runtime.run_for(10min);
    const auto& puts = world.objects.puts;
    // Those that were under way when the first refusal came, then one at a time.
    ASSERT_GT(puts.size(), 8u);
    EXPECT_LE(puts.size(), 8u + 60u);
    for (std::size_t i = 9; i < puts.size(); ++i) EXPECT_GE(puts[i] - puts[i - 1], 1s) << i;
    EXPECT_TRUE(world.store->parked.empty());
    EXPECT_EQ(world.store->pending.size(), 100u);

    store.refuses = false;
    const auto mended = world.runtime.elapsed();
    world.run_until_settled();
    EXPECT_EQ(world.released.size(), 100u);
    EXPECT_LE(world.runtime.elapsed() - mended, 61s);
    world.expect_nothing_lost();
  }
}

TEST(PipelineRefusal, comes_and_goes_as_news_once_each) {
  World world;
  Refusing store(world);
  world.node.pipeline.start();
  world.accept_many(20);
  world.runtime.run_for(5min);
  EXPECT_EQ(world.node.observer.refused, (std::vector<std::string>{"archive: refused for a test"}));
  store.refuses = false;
  world.run_until_settled();
  EXPECT_EQ(world.node.observer.refused.size(), 2u);
  EXPECT_EQ(world.node.observer.refused.back(), "archive");
}

TEST(PipelineRefusal, a_record_that_alone_is_refused_is_parked_and_tried_again_later) {
  World world;
  const auto id = world.accept("forbidden");
  const std::string key = world.key_of(id);
  std::string putting;
  bool forbidden = true;
  world.objects.on_put = [&putting](std::string put) -> core::Task<> {
    putting = std::move(put);
    co_return;
  };
  world.objects.decide = [&]() -> std::optional<StoreFault> {
    if (!forbidden || putting != key) return std::nullopt;
    return StoreFault{refusal()};
  };
  world.node.pipeline.start();
  std::size_t allowed = 0;
  while (!world.store->parked.contains(id) && allowed < 60) {
    world.accept("allowed");
    ++allowed;
    world.runtime.run_for(20s);
  }
  ASSERT_TRUE(world.store->parked.contains(id)) << "others got through, so it is the record's";
  EXPECT_TRUE(world.store->parked.at(id).retryable);
  EXPECT_EQ(world.released.size(), allowed);
  forbidden = false;
  world.runtime.run_until([&] { return world.released.size() == allowed + 1; }, 11min);
  world.expect_nothing_lost();
}

TEST(PipelineRefusal, of_the_index_holds_the_index_only) {
  World world;
  bool refuses = true;
  world.metadata.decide = [&refuses]() -> std::optional<StoreFault> {
    if (!refuses) return std::nullopt;
    return StoreFault{{core::Code::denied, core::Origin::metadata, core::Retry::never, "no"}};
  };
  world.node.pipeline.start();
  world.accept_many(30);
  world.runtime.run_for(1min);
  EXPECT_EQ(world.objects.stored.size(), 30u);
  EXPECT_TRUE(world.store->parked.empty());
  refuses = false;
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 30u);
}

TEST(PipelineRefusal, suspects_are_not_counted_for_it) {
  World world;
  world.accept_many(5);
  static_cast<void>(world.runtime.run(world.node.buffer.read(5, 1ms)));  // a life that ended
  for (const auto& [id, number] : world.store->pending) world.store->starts[id] = 4;
  Refusing store(world);
  world.node.pipeline.start();
  world.accept_many(5);
  world.runtime.run_for(5min);
  EXPECT_TRUE(world.store->parked.empty());
  store.refuses = false;
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 10u);
}

TEST(PipelineRefusal, stop_ends_those_who_wait_for_it) {
  World world;
  Refusing store(world);
  world.node.pipeline.start();
  world.accept_many(100);
  world.runtime.run_for(5min);
  world.node.pipeline.stop();
  EXPECT_TRUE(world.runtime.run(world.node.pipeline.drained(world.runtime.steady_now() + 1min)));
  EXPECT_EQ(world.store->pending.size(), 100u);
  for (const auto& [id, starts] : world.store->starts) EXPECT_EQ(starts, 0u);
}

// What an outage costs the target: no refusal, but nothing gets through either.
TEST(PipelineRefusal, an_outage_gets_few_retries_and_no_slow_start_after_it) {
  World world;
  bool away = true;
  world.objects.decide = [&away]() -> std::optional<StoreFault> {
    if (!away) return std::nullopt;
    return StoreFault{outage(core::Origin::object_store)};
  };
  world.node.pipeline.start();
  world.accept_many(500);
  world.runtime.run_for(10min);
  // The first attempts of those in hand, 100 tokens, one a second, and the first attempts of those
  // that came into hand for others that were parked.
  EXPECT_LE(world.objects.puts.size(), 64u + 100u + 600u + 200u);
  away = false;
  const auto back = world.runtime.elapsed();
  world.runtime.run_until([&] { return world.released.size() >= 300; }, 5min);
  EXPECT_LE(world.runtime.elapsed() - back, 62s) << "a wait between attempts, and no more";
}

}  // namespace
}  // namespace daybook::tests
