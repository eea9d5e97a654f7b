// A buffer on a real Redis of its own, with redis-cli as the stranger who looks at what is there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/frame.hpp"
#include "storage/redis_buffer.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/storage/redis_server.hpp"

namespace daybook::tests {

using namespace std::chrono_literals;
using core::BufferEntry;
using core::Code;
using core::Retry;

inline constexpr const char* kHead = R"({"id":"x")";

inline std::unique_ptr<core::SealedObject> make_object(core::RecordId id, core::Bytes payload) {
  core::Envelope envelope;
  envelope.id = id;
  envelope.tenant = "default";
  envelope.size = payload.size();
  envelope.sha256 = core::sha256(payload);
  envelope.received_at = core::WallTime(std::chrono::milliseconds(id.unix_ms()));
  envelope.durability = "fsync";
  envelope.partition = id.partition();
  core::ByteVector frame = core::compress_frame(payload, 1);
  envelope.frames = {static_cast<std::uint32_t>(frame.size())};
  std::vector<core::ByteVector> frames;
  frames.push_back(std::move(frame));
  return std::make_unique<core::SealedObject>(std::move(envelope), std::move(frames));
}

inline std::string bytes_of(const core::SealedObject& object) {
  std::string bytes;
  for (core::Bytes slice : object.slices()) bytes += core::as_text(slice);
  return bytes;
}

class RedisBufferBench : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::installed()) GTEST_SKIP() << "redis-server and redis-cli are not installed";
    redis_ = std::make_unique<RedisServer>();
    settings_.server.addresses = {{"", 0, redis_->socket()}};
    settings_.partitions = 2;
    settings_.node = "node-1";
    settings_.run = "run-1";
    settings_.check_interval = 100ms;
    settings_.idempotency_window = 1h;
    settings_.reservation_lease = 30s;
    settings_.record_bytes_max = 16 * core::MiB;
    start_buffer();
  }
  void TearDown() override { stop_buffer(); }

  void start_buffer() {
    buffer_ = std::make_unique<storage::RedisBuffer>(runtime_, settings_);
    running_ = true;
    runtime_.spawn(run_buffer(*buffer_, running_));
    wait_until([this] { return buffer_->health().has_value(); });
  }
  void stop_buffer() {
    if (!buffer_) return;
    buffer_->close();
    wait_until([this] { return !running_; });
    buffer_.reset();
  }
  static core::Task<> run_buffer(storage::RedisBuffer& buffer, bool& running) {
    co_await buffer.run();
    running = false;
  }
  template <class Condition>
  void wait_until(Condition met) {
    for (int i = 0; i < 1000 && !met(); ++i) run_on_io(runtime_, runtime_.sleep(10ms));
    ASSERT_TRUE(met()) << (buffer_->health() ? "" : buffer_->health().error().detail);
  }
  void wait_for_health(Code code, const std::string& words) {
    wait_until([&] {
      const auto health = buffer_->health();
      return !health && health.error().code == code &&
             health.error().detail.find(words) != std::string::npos;
    });
  }

  core::RecordId new_id(std::uint32_t partition = 0) {
    return ids_.next(runtime_.now(), partition);
  }
  core::Result<core::Appended> append(const core::SealedObject& object,
                                      std::optional<core::IdempotencyKey> key = std::nullopt,
                                      core::Duration within_time = 10s) {
    return run_on_io(runtime_, buffer_->append(object, kHead, std::move(key),
                                               std::chrono::steady_clock::now() + within_time));
  }
  core::RecordId append_one(std::uint32_t partition = 0, const std::string& payload = "payload") {
    const auto object = make_object(new_id(partition), core::as_bytes(payload));
    const auto done = append(*object);
    EXPECT_TRUE(done) << (done ? "" : done.error().detail);
    return object->envelope().id;
  }
  std::vector<BufferEntry> read(std::size_t max = 100, core::Duration wait = 50ms) {
    auto entries = run_on_io(runtime_, buffer_->read(max, wait));
    EXPECT_TRUE(entries) << (entries ? "" : entries.error().detail);
    return entries ? *entries : std::vector<BufferEntry>();
  }
  core::BufferStats stats() {
    auto figures = run_on_io(runtime_, buffer_->stats(soon()));
    EXPECT_TRUE(figures);
    return figures.value_or(core::BufferStats{});
  }
  void expect_stats(std::uint64_t accepted, std::uint64_t released, std::uint64_t pending,
                    std::uint64_t parked) {
    const core::BufferStats figures = stats();
    EXPECT_EQ(figures.accepted, accepted);
    EXPECT_EQ(figures.released, released);
    EXPECT_EQ(figures.pending, pending);
    EXPECT_EQ(figures.parked, parked);
    EXPECT_EQ(figures.unaccounted(), 0);
  }
  core::Reservation reserve(const std::string& key, core::RecordId id) {
    auto outcome = run_on_io(runtime_, buffer_->reserve({"default", key}, id, soon()));
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().detail);
    return outcome ? *outcome : core::Reservation{};
  }
  void release(const std::vector<BufferEntry>& entries) {
    EXPECT_TRUE(run_on_io(runtime_, buffer_->release(entries, soon())));
  }
  void park(const BufferEntry& entry, bool retryable = true) {
    EXPECT_TRUE(run_on_io(
        runtime_,
        buffer_->park({entry, "archive", "a \"reason\"", retryable, 6, runtime_.now()}, soon())));
  }
  std::string keys() const { return redis_->cli("--raw KEYS '*'"); }

  std::unique_ptr<RedisServer> redis_;
  io::IoRuntime runtime_;
  storage::RedisBufferSettings settings_;
  std::unique_ptr<storage::RedisBuffer> buffer_;
  core::RecordIdGenerator ids_;
  bool running_ = false;
};

}  // namespace daybook::tests
