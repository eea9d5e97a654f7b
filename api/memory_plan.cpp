#include "api/memory_plan.hpp"

#include <algorithm>
#include <set>
#include <thread>

#include "api/batch_door.hpp"
#include "api/message_source.hpp"
#include "api/notice_texts.hpp"
#include "api/subscriber_settings.hpp"
#include "core/delivery/feed_window.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

// A sealed record is at most this much larger than its payload: envelope, seek table, zstd's
// overhead.
constexpr std::uint64_t kSealedOverhead = core::limits::kEnvelopeBytesMax + 64 * core::KiB;

// One connection: the beginning of a head, coroutine frames, timers and an answer. An idle one
// takes half of it.
constexpr std::uint64_t kConnectionBytes = 12 * core::KiB;

// A zstd context of the highest level in use here, on a block.
constexpr std::uint64_t kWorkerBytes = 4 * core::MiB;

// One record's JSON: an envelope of its largest size, and what JSON makes of it.
constexpr std::uint64_t kRecordJsonBytes = 2 * core::MiB;
// A payload that is given inline is there as stored, as it was sent, and as JSON.
constexpr std::uint64_t kInlineCopies = 4;

// Code, the allocator's caches, SQLite's page cache, rows of queries, log lines.
constexpr std::uint64_t kFixedBytes = 64 * core::MiB;
constexpr std::uint64_t kLookupFileBytes = 64 * core::MiB;  // its texts, twice while it is read

// A record in the pipeline that waits for its segment: coroutine frames, envelope, timers.
constexpr std::uint64_t kRecordInFlightBytes = 12 * core::KiB;

// One segment is filled while another is put, and one is copied together.
constexpr std::uint64_t kSegmentsHeld = 3;

// A large row; the largest ones, with all attributes there may be, are far rarer than a page of
// them.
constexpr std::uint64_t kRowBytes = 32 * core::KiB;

std::uint64_t mebibytes(std::uint64_t bytes) {
  return (bytes + core::MiB - 1) / core::MiB;
}

// Each holds one answer, in a vector that may have twice the room.
std::uint64_t poller_memory(const core::Config& config) {
  std::uint64_t sum = 0;
  for (const core::PollerConfig& poller : config.pollers) {
    if (poller.enabled) sum += 2 * poller.response_bytes_max;
  }
  return sum;
}

// Deliveries in hand with their rows, and the payloads of those under way, as they are, as JSON and
// in the request; and what they share.
std::uint64_t subscribers_memory_max(const core::Config& config) {
  std::uint64_t bytes = core::delivery::kFeedWindowBytes + kNoticeTextsBytes;
  for (const core::SubscriberConfig& one : config.subscribers) {
    bytes += 2 * subscriber_window(one) * kRowBytes + one.parallel * 4 * one.payload_max;
  }
  return bytes;
}

std::size_t lookup_files(const core::Config& config) {
  std::set<std::string> files;
  for (const core::TransformConfig& transform : config.transforms) {
    for (const core::TransformStepConfig& step : transform.steps) {
      if (!step.lookup.empty()) files.insert(step.lookup);
    }
  }
  return files.size();
}

}  // namespace

std::size_t worker_threads(const core::Config& config) {
  if (config.server_worker_threads != 0) return config.server_worker_threads;
  return std::max(1U, std::thread::hardware_concurrency());
}

std::size_t records_in_flight(const core::Config& config) {
  if (config.archive_layout != "segment") return config.pipeline_records_in_flight;
  return std::max(config.pipeline_records_in_flight, 2 * config.archive_segment_records);
}

std::vector<MemoryUser> memory_users(const core::Config& config, std::size_t worker_threads) {
  const std::uint64_t sealed = config.ingest_body_bytes_max + kSealedOverhead;
  std::vector<MemoryUser> users = {
      {"payloads", config.ingest_memory_max, "ingest.memory_max"},
      {"kept blocks", config.ingest_memory_max / 4, "ingest.memory_max"},
      {"batches", batch_memory_max(config), "ingest.memory_max"},
      {std::to_string(config.server_connections_max) + " connections",
       config.server_connections_max * kConnectionBytes, "server.connections_max"},
      {"heads",
       std::min<std::uint64_t>(core::limits::kHeadsBytesMax,
                               config.server_connections_max * core::limits::kHeadBytesMax),
       "server.connections_max"},
      {"pollers' answers", poller_memory(config), "response_bytes_max of a poller"},
      {"fresh records", config.pipeline_fresh_memory_max, "pipeline.fresh_memory_max"},
      {"feed", config.feed_memory_max, "feed.memory_max"},
      {"archive stage", config.pipeline_archive_concurrency * 2 * sealed,
       "pipeline.archive_concurrency"},
      {"transform stage",
       config.transforms.empty()
           ? 0
           : config.pipeline_archive_concurrency * (sealed + core::limits::kBlockBytes),
       "pipeline.archive_concurrency"},
      {std::to_string(worker_threads) + " workers", worker_threads * kWorkerBytes,
       "server.worker_threads"},
      {"code and caches about", kFixedBytes, ""},
  };
  if (const std::size_t files = lookup_files(config); files > 0) {
    users.push_back(
        {std::to_string(files) + " lookup files", files * kLookupFileBytes, "step.lookup"});
  }
  if (config.ingest_refused_keep_max != 0) {
    // One is kept at a time: sealed, and in one piece for its file.
    users.push_back({"a refused message",
                     2 * (message_bytes_max(config) + core::limits::kBlockBytes),
                     "ingest.body_bytes_max"});
  }
  if (config.archive_layout == "segment") {
    users.push_back({"segments",
                     kSegmentsHeld * config.archive_segment_bytes +
                         records_in_flight(config) * kRecordInFlightBytes,
                     "archive.segment_bytes"});
  }
  if (!config.subscribers.empty()) {
    users.push_back({std::to_string(config.subscribers.size()) + " subscribers",
                     subscribers_memory_max(config), "parallel of a subscriber"});
  }
  return users;
}

std::uint64_t memory_sum(const std::vector<MemoryUser>& users) {
  std::uint64_t sum = 0;
  for (const MemoryUser& user : users) sum += user.bytes_max;
  return sum;
}

std::string memory_text(const std::vector<MemoryUser>& users) {
  std::string text;
  for (const MemoryUser& user : users) {
    if (!text.empty()) text += " + ";
    text += user.name + " " + std::to_string(mebibytes(user.bytes_max)) + " MiB";
  }
  return text + " = " + std::to_string(mebibytes(memory_sum(users))) + " MiB";
}

core::Result<void> check_memory(const std::vector<MemoryUser>& users, std::uint64_t memory_max) {
  const std::uint64_t sum = memory_sum(users);
  if (memory_max == 0 || sum <= memory_max) return {};
  const MemoryUser* largest = nullptr;
  for (const MemoryUser& user : users) {
    if (user.lower_by.empty()) continue;
    if (largest == nullptr || user.bytes_max > largest->bytes_max) largest = &user;
  }
  return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                    "node.memory_max is " + core::format_size(memory_max) +
                        " but at worst this configuration takes " + memory_text(users) +
                        ". Lower " + largest->lower_by + " first, or raise node.memory_max.");
}

std::uint64_t feed_answer_bytes(std::uint64_t page_bytes, std::uint64_t payload_bytes) {
  return page_bytes + kRecordJsonBytes + kInlineCopies * payload_bytes;
}

}  // namespace daybook::api
