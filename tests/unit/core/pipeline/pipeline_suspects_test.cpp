// Records that bring the process down, on a virtual clock. A process "dies" when a poison is put:
// everything it was doing stands still for ever, and a new pipeline of the same node starts on the
// same buffer, as a restart would.
#include "tests/unit/core/pipeline/pipeline_world.hpp"

namespace daybook::tests {
namespace {

// One node over its lives. The dead ones are kept: their tasks wait until the world ends.
class Mortal {
 public:
  explicit Mortal(WorldSettings settings = {}) : world(settings), settings_(settings) {
    world.objects.on_put = [this](std::string key) { return put(std::move(key)); };
  }
  ~Mortal() {
    ended_ = true;
    over_->notify_all();
    for (const auto& life : lives_) life->pipeline.stop();
    world.runtime.run_until([this] { return world.runtime.tasks() == 0; });
  }
  Mortal(const Mortal&) = delete;
  Mortal& operator=(const Mortal&) = delete;

  World world;
  std::set<std::string> poison;  // object keys
  std::size_t deaths = 0;

  core::RecordId accept_poison() {
    const auto id = world.accept("poison");
    poison.insert(world.key_of(id));
    return id;
  }
  Node& live() {
    lives_.push_back(std::make_unique<Node>(world.runtime, world.store, world.objects,
                                            world.metadata, settings_, "node-1"));
    Node& node = *lives_.back();
    // A dead process sends nothing: what was under way hangs in the store below, and the loops of a
    // dead pipeline find no buffer.
    node.buffer.decide = [this, me = deaths](BufferOperation) -> std::optional<BufferFault> {
      if (deaths == me) return std::nullopt;
      return BufferFault{outage(core::Origin::buffer)};
    };
    node.pipeline.start();
    return node;
  }
  // Restarts after every death until nothing is pending. Returns the number of lives.
  std::size_t live_until_settled(std::size_t lives_max = 200) {
    for (std::size_t life = 1; life <= lives_max; ++life) {
      const std::size_t before = deaths;
      live();
      world.runtime.run_until([&] { return deaths != before || world.store->pending.empty(); }, 2h);
      if (deaths == before) return life;
    }
    ADD_FAILURE() << "it dies for ever";
    return lives_max;
  }

 private:
  core::Task<> put(std::string key) {
    const std::size_t mine = deaths;
    if (poison.contains(key)) {
      ++deaths;
    } else {
      co_await world.runtime.sleep(10ms);  // so that others are beside it
    }
    while (deaths != mine && !ended_) co_await over_->wait(core::SteadyTime::max());
  }

  WorldSettings settings_;
  std::unique_ptr<core::Signal> over_ = world.runtime.make_signal();
  bool ended_ = false;
  std::vector<std::unique_ptr<Node>> lives_;
};

TEST(PipelineSuspects, a_record_that_kills_the_process_is_parked_after_its_starts) {
  Mortal node;
  const auto id = node.accept_poison();
  EXPECT_EQ(node.live_until_settled(), 6u);
  EXPECT_EQ(node.deaths, 5u);
  const core::ParkedRecord& record = node.world.store->parked.at(id);
  EXPECT_EQ(record.stage, "archive");
  EXPECT_EQ(record.starts, 5u);
  EXPECT_FALSE(record.retryable);
  EXPECT_NE(record.reason.find("5 starts of this record ended with the process dying"),
            std::string::npos)
      << record.reason;
  EXPECT_TRUE(node.world.store->bytes.contains(id)) << "a parked record keeps its bytes";
  EXPECT_TRUE(node.world.store->starts.empty());
  node.world.expect_nothing_lost();
}

TEST(PipelineSuspects, those_that_were_beside_a_poison_are_archived) {
  Mortal node;
  node.world.accept_many(20);
  const auto id = node.accept_poison();
  node.world.accept_many(20);
  node.live_until_settled();
  EXPECT_EQ(node.deaths, 5u);
  EXPECT_EQ(node.world.released.size(), 40u);
  EXPECT_EQ(node.world.store->parked.size(), 1u);
  EXPECT_TRUE(node.world.store->parked.contains(id));
  node.world.expect_nothing_lost();
}

TEST(PipelineSuspects, innocents_pass_before_the_poison_has_its_third_turn) {
  Mortal node;
  node.accept_poison();
  node.world.accept_many(30);
  for (int life = 0; life < 3; ++life) {
    const std::size_t before = node.deaths;
    node.live();
    node.world.runtime.run_until([&] { return node.deaths != before; }, 1h);
  }
  // Death 1 with all in hand, 2 when its turn came among equals, 3 after everybody else.
  EXPECT_EQ(node.world.released.size(), 30u);
}

TEST(PipelineSuspects, several_poisons_are_all_found_and_nobody_else) {
  Mortal node;
  std::set<core::RecordId> poisons;
  for (int i = 0; i < 4; ++i) {
    node.world.accept_many(5);
    poisons.insert(node.accept_poison());
  }
  node.live_until_settled();
  std::set<core::RecordId> parked;
  for (const auto& [id, record] : node.world.store->parked) parked.insert(id);
  EXPECT_EQ(parked, poisons);
  EXPECT_EQ(node.world.released.size(), 20u);
  node.world.expect_nothing_lost();
}

// The worst case for an innocent: at every restart another poison arrives and dies beside it.
TEST(PipelineSuspects, an_innocent_beside_ever_new_poisons_is_never_parked) {
  for (std::uint32_t starts_max : {2u, 3u, 5u}) {
    SCOPED_TRACE(starts_max);
    Mortal node({.starts_max = starts_max});
    node.world.accept_many(10);
    std::size_t poisons = 0;
    for (int life = 0; life < 40; ++life) {
      const std::size_t before = node.deaths;
      node.accept_poison();
      ++poisons;
      node.world.accept("newcomer");
      node.live();
      node.world.runtime.run_until([&] { return node.deaths != before; }, 1h);
    }
    node.live_until_settled();
    EXPECT_EQ(node.world.store->parked.size(), poisons);
    for (const auto& [id, record] : node.world.store->parked) {
      EXPECT_NE(record.reason.find("process dying"), std::string::npos);
    }
    EXPECT_EQ(node.world.released.size(), 50u);
    node.world.expect_nothing_lost();
  }
}

TEST(PipelineSuspects, new_records_do_not_wait_behind_suspects) {
  World world;
  world.accept_many(20);
  static_cast<void>(world.runtime.run(world.node.buffer.read(20, 1ms)));  // a life that ended
  world.objects.takes = 10s;
  world.node.pipeline.start();
  world.runtime.run_for(1s);
  EXPECT_EQ(world.node.observer.suspects, 20u);
  EXPECT_EQ(world.objects.running, 1u) << "suspects go one at a time";
  const auto fresh = world.accept("came later");
  world.runtime.run_for(11s);
  EXPECT_TRUE(world.metadata.rows.contains(fresh));
  EXPECT_GE(world.store->pending.size(), 18u);
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 21u);
}

TEST(PipelineSuspects, an_outage_counts_against_nobody_and_holds_nobody_up) {
  World world;
  world.accept_many(20);
  static_cast<void>(world.runtime.run(world.node.buffer.read(20, 1ms)));
  for (const auto& [id, number] : world.store->pending) world.store->starts[id] = 4;
  bool away = true;
  world.objects.decide = [&away]() -> std::optional<StoreFault> {
    if (!away) return std::nullopt;
    return StoreFault{outage(core::Origin::object_store)};
  };
  world.node.pipeline.start();
  world.runtime.run_for(10s);
  EXPECT_GE(world.objects.puts.size(), 40u) << "each had its turn although nobody got through";
  for (const auto& [id, number] : world.store->pending) {
    EXPECT_EQ(world.store->starts.at(id), 4u) << "a start that was survived is taken back";
  }
  away = false;
  world.run_until_settled();
  EXPECT_EQ(world.released.size(), 20u);
  EXPECT_TRUE(world.store->parked.empty());
}

TEST(PipelineSuspects, a_last_start_has_nobody_beside_it) {
  World world({.archive_concurrency = 32, .starts_max = 3});
  const auto id = world.accept("suspected twice");
  static_cast<void>(world.runtime.run(world.node.buffer.read(1, 1ms)));
  world.store->starts[id] = 2;
  // Somebody is in the middle of an attempt when the trial would begin.
  const auto first = world.accept("suspected once");
  static_cast<void>(world.runtime.run(world.node.buffer.read(1, 1ms)));
  world.accept_many(10);
  world.objects.takes = 1s;
  std::size_t beside = 0;
  const std::string key = world.key_of(id);
  bool trial = false;
  world.objects.on_put = [&](std::string put) -> core::Task<> {
    if (put == key) trial = true;
    co_return;
  };
  world.node.pipeline.start();
  world.runtime.run_for(500ms);
  world.accept("half a second late");
  for (int step = 0; step < 200 && !world.store->pending.empty(); ++step) {
    world.runtime.run_for(100ms);
    const bool on_trial = world.store->starts.contains(id) && world.store->starts.at(id) == 3;
    if (on_trial) beside = std::max(beside, world.objects.running);
  }
  EXPECT_TRUE(trial);
  EXPECT_EQ(beside, 1u) << "only the one on trial";
  EXPECT_TRUE(world.metadata.rows.contains(first));
  EXPECT_EQ(world.released.size(), 13u);
}

TEST(PipelineSuspects, a_graceful_stop_does_not_count) {
  World world({.records_in_flight = 4});
  world.accept_many(10);
  world.objects.decide = [] {
    return std::optional(StoreFault{outage(core::Origin::object_store)});
  };
  for (int life = 0; life < 8; ++life) {
    Node& node = world.add_node("node-9");
    node.pipeline.start();
    world.runtime.run_for(3s);
    node.pipeline.stop();
    EXPECT_TRUE(world.runtime.run(node.pipeline.drained(core::SteadyTime::max())));
    EXPECT_EQ(node.observer.suspects, 0u) << "life " << life;
    for (const auto& [id, starts] : world.store->starts) EXPECT_EQ(starts, 0u);
  }
  EXPECT_TRUE(world.store->parked.empty());
  EXPECT_EQ(world.store->pending.size(), 10u);
  world.objects.decide = {};
  Node& last = world.add_node("node-9");
  last.pipeline.start();
  world.run_until_settled(1min);
  EXPECT_EQ(world.released.size(), 10u);
}

TEST(PipelineSuspects, a_stop_that_cannot_wait_takes_the_starts_back_all_the_same) {
  World world;
  world.objects.takes = 1h;
  const auto id = world.accept();
  world.node.pipeline.start();
  world.runtime.run_for(1s);
  world.node.pipeline.stop();
  EXPECT_FALSE(world.runtime.run(world.node.pipeline.drained(world.runtime.steady_now() + 1s)));
  EXPECT_EQ(world.store->starts.at(id), 0u);
}

TEST(PipelineSuspects, what_was_given_back_counts_again_when_it_is_started) {
  World world;
  const auto id = world.accept();
  static_cast<void>(world.runtime.run(world.node.buffer.read(1, 1ms)));
  world.store->starts[id] = 0;
  world.objects.takes = 10s;
  world.node.pipeline.start();
  world.runtime.run_for(1s);
  EXPECT_EQ(world.store->starts.at(id), 1u);
  EXPECT_EQ(world.node.observer.suspects, 0u);
}

TEST(PipelineSuspects, nothing_is_started_that_could_not_be_counted) {
  World world;
  world.accept_many(3);
  static_cast<void>(world.runtime.run(world.node.buffer.read(3, 1ms)));
  world.node.buffer.fail_next(BufferOperation::note_starts, 5, outage(core::Origin::buffer));
  world.node.pipeline.start();
  world.runtime.run_for(2400ms);
  EXPECT_TRUE(world.objects.puts.empty());
  world.run_until_settled(10s);
  EXPECT_EQ(world.released.size(), 3u);
}

TEST(PipelineSuspects, a_count_whose_answer_was_lost_counts_once) {
  World world;
  const auto id = world.accept();
  static_cast<void>(world.runtime.run(world.node.buffer.read(1, 1ms)));
  world.node.buffer.fail_next(BufferOperation::note_starts, 4,
                              outage(core::Origin::buffer, core::Retry::unknown_outcome), true);
  world.objects.takes = 10s;
  world.node.pipeline.start();
  world.runtime.run_for(5s);
  EXPECT_EQ(world.store->starts.at(id), 2u);
}

TEST(PipelineSuspects, what_a_living_process_let_go_is_no_suspect) {
  World world;
  bool away = true;
  world.objects.decide = [&away]() -> std::optional<StoreFault> {
    if (!away) return std::nullopt;
    return StoreFault{outage(core::Origin::object_store)};
  };
  world.node.buffer.fail_next(BufferOperation::park, 1, outage(core::Origin::buffer));
  world.accept();
  world.node.pipeline.start();
  world.runtime.run_until([&] { return world.node.buffer.calls(BufferOperation::park) == 1; });
  away = false;
  world.run_until_settled(3min);
  EXPECT_EQ(world.node.observer.claimed, 1u);
  EXPECT_EQ(world.node.observer.suspects, 0u);
}

TEST(PipelineSuspects, stop_ends_those_who_wait_for_the_seat) {
  World world({.starts_max = 2});
  world.accept_many(5);
  static_cast<void>(world.runtime.run(world.node.buffer.read(5, 1ms)));
  world.accept_many(5);
  world.objects.takes = 5s;
  world.node.pipeline.start();
  world.runtime.run_for(6s);
  world.node.pipeline.stop();
  EXPECT_TRUE(world.runtime.run(world.node.pipeline.drained(world.runtime.steady_now() + 1min)));
  world.expect_nothing_lost();
}

}  // namespace
}  // namespace daybook::tests
