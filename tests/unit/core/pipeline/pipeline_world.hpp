// What a pipeline runs against in a test: a virtual clock, a buffer in memory, and stores that fail
// and dawdle when they are told to. One world may hold several nodes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/frame.hpp"
#include "core/pipeline/pipeline.hpp"
#include "core/pipeline/stages.hpp"
#include "core/pipeline/transform_stage.hpp"
#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/fakes/memory_buffer.hpp"
#include "tests/contract/fakes/memory_metadata_store.hpp"
#include "tests/contract/fakes/memory_object_store.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {

using namespace std::chrono_literals;

inline core::Error outage(core::Origin origin, core::Retry retry = core::Retry::safe) {
  return {core::Code::unavailable, origin, retry, "away for a test"};
}

struct StoreFault {
  core::Error error;
  bool after = false;  // the effect happened, the answer was lost
};
using Decide = std::function<std::optional<StoreFault>()>;

class FlakyObjectStore final : public core::ObjectStore {
 public:
  explicit FlakyObjectStore(core::Runtime& runtime) : runtime_(runtime) {}

  Decide decide;
  Decide decide_get;
  std::function<core::Task<>(std::string key)> on_put;
  core::Duration takes{};
  std::set<std::string> stored;  // keys that were put with success or whose answer was lost
  std::vector<core::SteadyTime> puts;
  std::size_t running = 0;
  std::size_t running_max = 0;
  void refuse_other_bytes() { store_.refuses_other_bytes = true; }

  core::Task<core::Result<core::ObjectVersion>> put(core::PutObject object,
                                                    core::Deadline deadline) override {
    puts.push_back(runtime_.steady_now());
    running_max = std::max(running_max, ++running);
    if (takes != core::Duration{}) co_await runtime_.sleep(takes);
    --running;
    if (on_put) co_await on_put(object.key);
    const auto fault = decide ? decide() : std::nullopt;
    if (fault && !fault->after) co_return core::Failure(fault->error);
    const std::string key = object.key;
    auto version = co_await store_.put(std::move(object), deadline);
    if (version) stored.insert(key);
    if (fault) co_return core::Failure(fault->error);
    co_return version;
  }
  core::Task<core::Result<core::ObjectInfo>> head(std::string key,
                                                  core::Deadline deadline) override {
    return store_.head(std::move(key), deadline);
  }
  core::Task<core::Result<core::ByteVector>> get(std::string key,
                                                 std::optional<core::ByteRange> range,
                                                 core::Deadline deadline) override {
    if (const auto fault = decide_get ? decide_get() : std::nullopt) {
      co_return core::Failure(fault->error);
    }
    co_return co_await store_.get(std::move(key), range, deadline);
  }
  core::Task<core::Result<std::vector<core::ListedObject>>> list(std::string prefix,
                                                                 std::string after, std::size_t max,
                                                                 core::Deadline deadline) override {
    return store_.list(std::move(prefix), std::move(after), max, deadline);
  }
  core::Task<core::Result<void>> probe(core::Deadline deadline) override {
    return store_.probe(deadline);
  }
  [[nodiscard]] std::string describe() const override { return "flaky:"; }

 private:
  core::Runtime& runtime_;
  MemoryObjectStore store_;
};

class FlakyMetadataStore final : public core::MetadataStore {
 public:
  explicit FlakyMetadataStore(core::Runtime& runtime) : runtime_(runtime) {}

  Decide decide;
  Decide decide_find;
  core::Duration takes{};
  std::map<core::RecordId, std::size_t> inserted;  // rows by id: how often they were handed in
  std::map<core::RecordId, core::MetadataRow> rows;

  core::Task<core::Result<void>> insert(std::vector<core::MetadataRow> batch,
                                        core::Deadline deadline) override {
    if (takes != core::Duration{}) co_await runtime_.sleep(takes);
    const auto fault = decide ? decide() : std::nullopt;
    // A store without transactions leaves some of the rows.
    if (fault && !fault->after) batch.resize(batch.size() / 2);
    for (const core::MetadataRow& row : batch) {
      ++inserted[row.envelope.id];
      rows.try_emplace(row.envelope.id, row);
    }
    auto done = co_await store_.insert(std::move(batch), deadline);
    if (fault) co_return core::Failure(fault->error);
    co_return done;
  }
  core::Task<core::Result<std::optional<core::MetadataRow>>> find(
      core::RecordId id, core::Deadline deadline) override {
    if (const auto fault = decide_find ? decide_find() : std::nullopt) {
      co_return core::Failure(fault->error);
    }
    co_return co_await store_.find(id, deadline);
  }
  core::Task<core::Result<std::vector<core::MetadataRow>>> list(core::MetadataQuery query,
                                                                core::Deadline deadline) override {
    return store_.list(std::move(query), deadline);
  }
  core::Task<core::Result<std::vector<core::MetadataRow>>> scan(std::optional<core::RecordId> after,
                                                                std::uint32_t limit,
                                                                core::Deadline deadline) override {
    return store_.scan(after, limit, deadline);
  }
  core::Task<core::Result<std::vector<core::FeedEntry>>> feed(std::uint64_t after,
                                                              std::uint32_t limit,
                                                              core::Deadline deadline) override {
    return store_.feed(after, limit, deadline);
  }
  core::Task<core::Result<core::FeedBounds>> feed_bounds(core::Deadline deadline) override {
    return store_.feed_bounds(deadline);
  }
  core::Task<core::Result<std::uint64_t>> feed_before(core::WallTime since,
                                                      core::Deadline deadline) override {
    return store_.feed_before(since, deadline);
  }
  core::Task<core::Result<void>> probe(core::Deadline deadline) override {
    return store_.probe(deadline);
  }
  [[nodiscard]] std::string describe() const override { return "flaky:"; }

 private:
  core::Runtime& runtime_;
  MemoryMetadataStore store_;
};

class RecordingObserver final : public core::PipelineObserver {
 public:
  std::map<std::string, std::size_t> received, done, failed, retried, parked;
  std::vector<std::string> troubles;
  std::vector<std::string> refused;  // "stage: why", and "stage" when it is over
  std::size_t claimed = 0;
  std::size_t suspects = 0;

  void on_received(std::string_view stage) override { ++received[std::string(stage)]; }
  void on_done(std::string_view stage, core::Duration) override { ++done[std::string(stage)]; }
  void on_failed(std::string_view stage, const core::RecordId&, std::uint32_t,
                 const core::Error&) override {
    ++failed[std::string(stage)];
  }
  void on_retry(std::string_view stage) override { ++retried[std::string(stage)]; }
  void on_parked(std::string_view stage, const core::RecordId&, const core::Error&) override {
    ++parked[std::string(stage)];
  }
  void on_refused(std::string_view stage, const core::Error* error) override {
    refused.push_back(std::string(stage) + (error != nullptr ? ": " + error->detail : ""));
  }
  void on_trouble(std::string_view doing, const core::Error& error) override {
    troubles.push_back(std::string(doing) + ": " + error.detail);
  }
  void on_claimed(std::size_t entries) override { claimed += entries; }
  void on_suspects(std::size_t entries) override { suspects += entries; }
};

// The stored object of a record with this payload.
inline std::string sealed_bytes(core::RecordId id, std::string_view payload,
                                std::string_view content_type = "text/plain",
                                core::Envelope envelope = {}) {
  envelope.id = id;
  envelope.tenant = "default";
  envelope.content_type = content_type;
  envelope.size = payload.size();
  envelope.sha256 = core::sha256(core::as_bytes(payload));
  envelope.received_at = core::WallTime(std::chrono::milliseconds(id.unix_ms()));
  envelope.durability = "fsync";
  std::vector<core::ByteVector> frames;
  for (std::size_t at = 0; at < payload.size() || at == 0; at += core::limits::kBlockBytes) {
    const auto block = payload.substr(at, core::limits::kBlockBytes);
    frames.push_back(core::compress_frame(core::as_bytes(block), 1));
    envelope.frames.push_back(static_cast<std::uint32_t>(frames.back().size()));
  }
  const core::SealedObject object(std::move(envelope), std::move(frames));
  std::string bytes;
  for (core::Bytes slice : object.slices()) bytes += core::as_text(slice);
  return bytes;
}

struct WorldSettings {
  std::size_t records_in_flight = 64;
  std::size_t archive_concurrency = 8;
  std::size_t batch_max = 16;
  std::uint64_t seed = 1;
  std::uint32_t starts_max = 5;
  core::pipeline::SegmentSettings segments{};
  const core::transform::Transforms* transforms = nullptr;
};

// One node: its own view of the shared buffer, and its own stages.
struct Node {
  Node(VirtualRuntime& runtime, std::shared_ptr<MemoryBufferStore> store, FlakyObjectStore& objects,
       FlakyMetadataStore& metadata, WorldSettings settings, const std::string& name)
      : buffer(runtime, std::move(store), name),
        archive(runtime, workers, buffer, fresh, objects,
                {.prefix = "",
                 .concurrency = settings.archive_concurrency,
                 .timeout = 30s,
                 .segments = settings.segments,
                 .records_max = settings.records_in_flight}),
        index(runtime, metadata, settings.batch_max, 10s),
        release(runtime, buffer, settings.batch_max, 10s),
        transform(make_transform(runtime, metadata, settings)),
        pipeline(runtime, buffer, stages(), observer,
                 {.records_in_flight = settings.records_in_flight,
                  .lease = 60s,
                  .parked_retry = 5min,
                  .starts_max = settings.starts_max,
                  .retry = {.attempts_max = 6, .first = 2s, .longest = 60s},
                  .seed = settings.seed}) {}

  InlineWorkers workers;
  MemoryBuffer buffer;
  RecordingObserver observer;
  core::pipeline::FreshRecords fresh{1 * core::MiB};
  core::pipeline::ArchiveStage archive;
  core::pipeline::IndexStage index;
  core::pipeline::ReleaseStage release;
  std::unique_ptr<core::pipeline::TransformStage> transform;  // null: there are no transforms
  core::pipeline::Pipeline pipeline;

 private:
  std::unique_ptr<core::pipeline::TransformStage> make_transform(core::Runtime& runtime,
                                                                 core::MetadataStore& metadata,
                                                                 const WorldSettings& settings) {
    if (settings.transforms == nullptr) return nullptr;
    return std::make_unique<core::pipeline::TransformStage>(
        runtime, workers, buffer, fresh, metadata, *settings.transforms,
        core::pipeline::TransformStage::Settings{.timeout = 10s});
  }
  std::vector<core::pipeline::Stage*> stages() {
    std::vector<core::pipeline::Stage*> all = {&archive, &index, &release};
    if (transform) all.insert(all.begin(), transform.get());
    return all;
  }
};

class World {
 public:
  explicit World(WorldSettings world_settings = {})
      : settings(world_settings), node(add_node("node-1")) {
    store->on_release = [this](const core::BufferEntry& entry) { check_release(entry); };
  }
  ~World() {
    for (const auto& each : nodes_) each->pipeline.stop();
    runtime.run_until([this] { return runtime.tasks() == 0; });
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  WorldSettings settings;
  VirtualRuntime runtime;
  std::shared_ptr<MemoryBufferStore> store = std::make_shared<MemoryBufferStore>();
  FlakyObjectStore objects{runtime};
  FlakyMetadataStore metadata{runtime};
  std::vector<core::RecordId> accepted;
  std::vector<core::RecordId> released;

 private:
  std::vector<std::unique_ptr<Node>> nodes_;

 public:
  Node& node;  // the first one

  Node& add_node(const std::string& name) {
    nodes_.push_back(std::make_unique<Node>(runtime, store, objects, metadata, settings, name));
    return *nodes_.back();
  }
  core::RecordId accept(std::string_view payload = "an audit record",
                        std::string_view content_type = "text/plain",
                        core::Envelope attributes = {}) {
    const core::RecordId id = ids_.next(runtime.now(), 0);
    node.buffer.put(id, sealed_bytes(id, payload, content_type, std::move(attributes)));
    accepted.push_back(id);
    return id;
  }
  void accept_many(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) accept("payload " + std::to_string(i));
  }
  // Until nothing is pending; parked records may be left.
  void run_until_settled(core::Duration at_most = 2h) {
    runtime.run_until([this] { return store->pending.empty(); }, at_most);
  }
  [[nodiscard]] std::string key_of(const core::RecordId& id) const {
    const auto head = core::open_head(core::as_bytes(store->bytes.at(id)));
    return core::object_key(head->envelope, "");
  }
  // Every accepted record is in one place, and those that are released are in the archive.
  void expect_nothing_lost() const {
    EXPECT_EQ(store->accepted, accepted.size());
    EXPECT_EQ(store->accepted, store->released + store->pending.size() + store->parked.size() +
                                   store->dropped.size());
    std::set<core::RecordId> once(released.begin(), released.end());
    EXPECT_EQ(once.size(), released.size()) << "released twice";
    for (const core::RecordId& id : accepted) {
      const bool buffered = store->pending.contains(id) || store->parked.contains(id);
      EXPECT_NE(buffered, once.contains(id)) << id.str();
      if (buffered) {
        EXPECT_TRUE(store->bytes.contains(id)) << id.str();
      } else {
        EXPECT_TRUE(metadata.rows.contains(id)) << id.str();
      }
    }
  }

 private:
  void check_release(const core::BufferEntry& entry) {
    released.push_back(entry.id);
    const auto row = metadata.rows.find(entry.id);
    ASSERT_TRUE(row != metadata.rows.end()) << "released before it was indexed";
    const std::string& key = row->second.object_key;
    EXPECT_TRUE(key == key_of(entry.id) || core::segment_of_key(key)) << key;
    EXPECT_TRUE(objects.stored.contains(key)) << "released before it was archived";
  }

  core::RecordIdGenerator ids_;
};

}  // namespace daybook::tests
