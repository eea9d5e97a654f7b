// Transforms on their way through the pipeline: what is archived and indexed is the transformed
// record, the payload stays, and nothing is archived twice in two forms.
#include <boost/json.hpp>

#include "core/object_check.hpp"
#include "core/transform/transform.hpp"
#include "tests/unit/core/pipeline/pipeline_world.hpp"

namespace daybook::tests {
namespace {

using core::transform::Add;
using core::transform::Copy;
using core::transform::Drop;
using core::transform::Http;
using core::transform::Step;
using core::transform::Transform;
using core::transform::Transforms;

// A transformer that counts, fails when it is told to, and never answers the same twice.
class Counter final : public core::transform::Transformer {
 public:
  std::function<std::optional<core::Error>()> refuse;
  std::size_t calls = 0;
  core::Task<core::Result<std::optional<std::string>>> call(std::string, core::RecordId,
                                                            std::string) override {
    ++calls;
    if (const auto error = refuse ? refuse() : std::nullopt) co_return core::Failure(*error);
    co_return std::optional("{\"call\":\"" + std::to_string(calls) + "\"}");
  }
};

Transforms one(std::vector<Step> steps, std::map<std::string, std::string> when = {}) {
  return Transforms({Transform{.name = "t", .when = std::move(when), .steps = std::move(steps)}});
}

core::Envelope with(std::map<std::string, std::string> attributes, std::string type = "") {
  core::Envelope envelope;
  envelope.attributes = std::move(attributes);
  envelope.type = std::move(type);
  return envelope;
}

// The object as it is archived, which must be what its row says, and have the payload.
core::Envelope archived(World& world, core::RecordId id, std::string_view payload) {
  const core::MetadataRow& row = world.metadata.rows.at(id);
  const auto object =
      world.runtime.run(world.objects.get(row.object_key, std::nullopt, core::SteadyTime::max()));
  EXPECT_TRUE(object);
  EXPECT_EQ(object->size(), row.stored_size);
  EXPECT_EQ(core::sha256(*object), row.stored_sha256);
  const auto head = core::open_head(*object);
  EXPECT_TRUE(head);
  EXPECT_EQ(head->envelope, row.envelope);
  EXPECT_EQ(head->data_offset, row.data_offset);
  const auto block = core::decompress_frame(
      core::Bytes(*object).subspan(head->data_offset, head->envelope.frames[0]), payload.size());
  EXPECT_TRUE(block && core::as_text(*block) == payload);
  return head->envelope;
}

WorldSettings settings_of(const Transforms& transforms) {
  WorldSettings settings;
  settings.transforms = &transforms;
  return settings;
}

TEST(TransformStage, the_object_and_the_row_have_the_transformed_attributes) {
  const Transforms transforms =
      one({{Drop{"token"}}, {Copy{*core::JsonPointer::parse("/n"), "n"}}, {Add{"site", "a"}}});
  World world(settings_of(transforms));
  world.node.pipeline.start();
  const std::string payload = R"({"n":7})";
  const auto id = world.accept(payload, "application/json", with({{"token", "SESAME"}}));
  world.run_until_settled(1min);
  const core::Envelope envelope = archived(world, id, payload);
  EXPECT_EQ(envelope.attributes, (std::map<std::string, std::string>{{"n", "7"}, {"site", "a"}}));
  EXPECT_EQ(envelope.context.at("transform"), "t");
  EXPECT_EQ(envelope.sha256, core::sha256(core::as_bytes(payload)));
  const auto object = world.runtime.run(world.objects.get(world.metadata.rows.at(id).object_key,
                                                          std::nullopt, core::SteadyTime::max()));
  EXPECT_EQ(core::as_text(*object).find("SESAME"), std::string_view::npos);
  world.expect_nothing_lost();
}

TEST(TransformStage, a_record_that_none_concerns_is_archived_as_it_was_sealed) {
  const Transforms transforms = one({{Add{"site", "a"}}}, {{"type", "sale"}});
  World world(settings_of(transforms));
  world.node.pipeline.start();
  const auto id = world.accept("payload");
  const std::string bytes = world.store->bytes.at(id);
  world.run_until_settled(1min);
  const auto object = world.runtime.run(world.objects.get(world.metadata.rows.at(id).object_key,
                                                          std::nullopt, core::SteadyTime::max()));
  EXPECT_EQ(core::as_text(*object), bytes);
}

TEST(TransformStage, small_records_share_segments_after_their_transform) {
  const Transforms transforms = one({{Add{"site", "a"}}});
  WorldSettings settings = settings_of(transforms);
  settings.segments = {.bytes_max = 1 * core::MiB,
                       .records_max = 4096,
                       .age = 1s,
                       .memory_max = 4 * core::MiB,
                       .retry = {},
                       .on_put = {}};
  World world(settings);
  world.node.pipeline.start();
  world.accept_many(50);
  world.run_until_settled(1min);
  ASSERT_EQ(world.metadata.rows.size(), 50u);
  for (const auto& [id, row] : world.metadata.rows) {
    EXPECT_EQ(row.envelope.attributes.at("site"), "a");
    EXPECT_TRUE(core::segment_of_key(row.object_key)) << row.object_key;
  }
  world.expect_nothing_lost();
}

TEST(TransformStage, records_of_several_frames_share_segments_too) {
  const Transforms transforms = one({{Add{"site", "a"}}});
  WorldSettings settings = settings_of(transforms);
  settings.segments = {.bytes_max = 64 * core::MiB,
                       .records_max = 16,
                       .age = 1s,
                       .memory_max = 128 * core::MiB,
                       .retry = {},
                       .on_put = {}};
  World world(settings);
  world.node.pipeline.start();
  for (const std::size_t frames : {1U, 2U, 3U, 4U}) {
    world.accept(std::string((frames - 1) * core::limits::kBlockBytes + 100, 'x') + "\n",
                 "text/plain");
  }
  world.run_until_settled(1min);
  ASSERT_EQ(world.metadata.rows.size(), 4u);
  for (const auto& [id, row] : world.metadata.rows) {
    EXPECT_TRUE(core::segment_of_key(row.object_key)) << row.object_key;
  }
  world.expect_nothing_lost();
}

TEST(TransformStage,
     a_transformer_that_is_away_is_asked_three_times_and_then_the_record_is_parked) {
  const auto transformer = std::make_shared<Counter>();
  transformer->refuse = [] { return outage(core::Origin::sink); };
  const Transforms transforms = one({{Http{transformer}}}, {{"type", "sale"}});
  World world(settings_of(transforms));
  world.node.pipeline.start();
  const auto id = world.accept("payload", "text/plain", with({}, "sale"));
  const auto other = world.accept("other");
  world.run_until_settled(1min);
  EXPECT_EQ(transformer->calls, 3u);
  ASSERT_TRUE(world.store->parked.contains(id));
  const core::ParkedRecord& parked = world.store->parked.at(id);
  EXPECT_EQ(parked.stage, "transform");
  EXPECT_EQ(parked.reason, "transform t, step 1: away for a test");
  EXPECT_TRUE(parked.retryable);
  EXPECT_TRUE(world.metadata.rows.contains(other)) << "others go on";
  // It is tried again by itself, and then it works.
  transformer->refuse = nullptr;
  world.runtime.run_until([&] { return world.metadata.rows.contains(id); }, 1h);
  archived(world, id, "payload");
  world.runtime.run_for(1min);
  world.expect_nothing_lost();
}

TEST(TransformStage, what_can_never_work_is_parked_at_once_and_not_tried_again) {
  const Transforms transforms = one({{Drop{"none"}, true, core::transform::Missing::park}});
  World world(settings_of(transforms));
  world.node.pipeline.start();
  const auto id = world.accept();
  world.runtime.run_for(1h);
  ASSERT_TRUE(world.store->parked.contains(id));
  EXPECT_FALSE(world.store->parked.at(id).retryable);
  EXPECT_EQ(world.node.observer.failed["transform"], 1u);
  world.expect_nothing_lost();
}

// The object is written and its answer lost, for good: the record is parked, and walked again with
// another outcome of the transform.
void walk_twice(bool store_can_tell, const std::string& form) {
  const auto transformer = std::make_shared<Counter>();
  const Transforms transforms = one({{Http{transformer}}});
  World world(settings_of(transforms));
  if (store_can_tell) world.objects.refuse_other_bytes();
  std::size_t puts = 0;
  world.objects.decide = [&]() -> std::optional<StoreFault> {
    if (++puts > 6) return std::nullopt;
    return StoreFault{outage(core::Origin::object_store), true};
  };
  world.node.pipeline.start();
  const auto id = world.accept("payload");
  world.runtime.run_until([&] { return world.metadata.rows.contains(id); }, 2h);
  EXPECT_EQ(transformer->calls, 2u) << "walked twice";
  EXPECT_EQ(archived(world, id, "payload").attributes.at("call"), form);
  world.runtime.run_for(1min);
  EXPECT_TRUE(world.store->parked.empty());
  world.expect_nothing_lost();
}

TEST(TransformStage, an_object_that_an_earlier_walk_wrote_stays_though_the_transform_changed) {
  walk_twice(true, "1");
}

TEST(TransformStage, an_object_without_a_row_is_replaced_where_the_store_cannot_tell) {
  walk_twice(false, "2");
}

// Killed between object and row; then the transforms are taken out of the configuration.
TEST(TransformStage, an_object_that_an_earlier_walk_wrote_stays_though_nothing_transforms_it_now) {
  Transforms transforms = one({{Drop{"token"}}});
  World world(settings_of(transforms));
  world.objects.refuse_other_bytes();
  world.metadata.decide = [&]() -> std::optional<StoreFault> {
    return StoreFault{outage(core::Origin::metadata)};
  };
  world.node.pipeline.start();
  const auto id = world.accept("payload", "text/plain", with({{"token", "SESAME"}}));
  world.runtime.run_until([&] { return world.store->parked.contains(id); }, 2h);
  transforms = Transforms();
  world.metadata.decide = nullptr;
  world.runtime.run_until([&] { return world.metadata.rows.contains(id); }, 2h);
  EXPECT_EQ(archived(world, id, "payload").attributes.count("token"), 0u);
  world.runtime.run_for(1min);
  world.expect_nothing_lost();
}

TEST(TransformStage, an_object_that_cannot_be_looked_at_for_a_moment_is_looked_at_again) {
  const auto transformer = std::make_shared<Counter>();
  const Transforms transforms = one({{Http{transformer}}});
  World world(settings_of(transforms));
  world.objects.refuse_other_bytes();
  std::size_t puts = 0;
  world.objects.decide = [&]() -> std::optional<StoreFault> {
    if (++puts > 6) return std::nullopt;
    return StoreFault{outage(core::Origin::object_store), true};
  };
  std::size_t gets = 0;
  world.objects.decide_get = [&]() -> std::optional<StoreFault> {
    if (++gets > 2) return std::nullopt;
    return StoreFault{outage(core::Origin::object_store)};
  };
  world.node.pipeline.start();
  const auto id = world.accept("payload");
  world.runtime.run_until([&] { return world.metadata.rows.contains(id); }, 2h);
  world.objects.decide_get = nullptr;
  EXPECT_EQ(archived(world, id, "payload").attributes.at("call"), "1");
  world.runtime.run_for(1min);
  EXPECT_TRUE(world.store->parked.empty());
  world.expect_nothing_lost();
}

TEST(TransformStage, an_index_that_is_away_for_a_while_parks_nothing) {
  const Transforms transforms = one({{Add{"site", "a"}}});
  World world(settings_of(transforms));
  const core::SteadyTime back = world.runtime.steady_now() + 5s;
  world.metadata.decide_find = [&]() -> std::optional<StoreFault> {
    if (world.runtime.steady_now() >= back) return std::nullopt;
    return StoreFault{outage(core::Origin::metadata)};
  };
  world.node.pipeline.start();
  for (int i = 0; i < 20; ++i) world.accept();
  world.runtime.run_until([&] { return world.metadata.rows.size() == 20; }, 10min);
  EXPECT_EQ(world.metadata.rows.size(), 20u);
  EXPECT_TRUE(world.node.observer.parked.empty());
  world.runtime.run_for(1min);
  world.expect_nothing_lost();
}

TEST(TransformStage, a_row_that_an_earlier_walk_committed_stays) {
  const auto transformer = std::make_shared<Counter>();
  const Transforms transforms = one({{Http{transformer}}});
  World world(settings_of(transforms));
  std::size_t inserts = 0;
  world.metadata.decide = [&]() -> std::optional<StoreFault> {
    if (++inserts > 6) return std::nullopt;
    return StoreFault{outage(core::Origin::metadata), true};
  };
  world.node.pipeline.start();
  const auto id = world.accept("payload");
  world.runtime.run_until([&] { return !world.released.empty(); }, 2h);
  EXPECT_EQ(transformer->calls, 1u) << "the second walk only releases";
  EXPECT_EQ(archived(world, id, "payload").attributes.at("call"), "1");
  world.expect_nothing_lost();
}

TEST(TransformStage, damage_in_the_buffer_is_found_as_ever) {
  const Transforms transforms = one({{Add{"site", "a"}}});
  World world(settings_of(transforms));
  const auto id = world.accept("a payload that is damaged");
  std::string& bytes = world.store->bytes.at(id);
  bytes[bytes.size() - 40] ^= 1;
  world.node.pipeline.start();
  world.run_until_settled(1min);
  ASSERT_TRUE(world.store->parked.contains(id));
  EXPECT_NE(world.store->parked.at(id).reason.find("damaged"), std::string::npos);
  EXPECT_TRUE(world.metadata.rows.empty());
}

}  // namespace
}  // namespace daybook::tests
