// What the buffer knows of Redis: whether its settings keep the promise, how full it is, whether it
// is the one that it was.
#include <algorithm>
#include <cstdlib>

#include "storage/redis_buffer.hpp"
#include "storage/redis_checks.hpp"

namespace daybook::storage {

using core::Code;
using core::Deadline;
using core::Error;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::CommandBatch;
using core::resp::Reply;

Task<> RedisBuffer::run() {
  while (!closing_) {
    recheck_ = false;
    auto outcome = co_await check(runtime_.steady_now() + std::chrono::seconds(5));
    // Something broke while we looked: look once more before the picture is trusted.
    const bool again = recheck_ && outcome;
    core::Duration pause = settings_.check_interval;
    if (again) pause = std::chrono::milliseconds(10);
    if (!outcome) pause = std::min<core::Duration>(pause, std::chrono::milliseconds(200));
    if (!again) health_ = std::move(outcome);
    checked_->notify_all();
    if (!closing_) co_await check_now_->wait(runtime_.steady_now() + pause);
  }
}

void RedisBuffer::close() {
  closing_ = true;
  check_now_->notify_all();
  checked_->notify_all();
}

Task<Result<void>> RedisBuffer::ready(Deadline deadline) {
  while (!health_ && health_.error().code == Code::unavailable && !closing_ &&
         runtime_.steady_now() < deadline) {
    co_await checked_->wait(deadline);
  }
  co_return health_;
}

std::uint64_t RedisBuffer::missing_room(std::uint64_t bytes) const {
  if (stats_.memory_max == 0) return 0;
  const std::uint64_t reserve = std::min(settings_.memory_reserve, stats_.memory_max / 4);
  const std::uint64_t grown = stats_.memory_used + appended_since_check_;
  const std::uint64_t used = grown - std::min(grown, released_since_check_);
  const std::uint64_t needed = used + bytes + reserve;
  return needed > stats_.memory_max ? needed - stats_.memory_max : 0;
}

double RedisBuffer::drain_per_second() const {
  return drained_.per_second(runtime_.steady_now());
}

void RedisBuffer::note(const Error& failure) {
  if (failure.retry == Retry::unknown_outcome || failure.code == Code::unavailable ||
      failure.code == Code::closed) {
    append_pool_.drop_idle();
    small_pool_.drop_idle();
    if (health_) {
      health_ = core::fail(Code::unavailable, Origin::buffer, Retry::safe,
                           "the connection to Redis was lost: " + failure.detail);
    }
  }
  recheck_ = true;
  check_now_->notify_all();
}

Task<Result<void>> RedisBuffer::check(Deadline deadline) {
  const std::uint64_t appended = appended_since_check_;
  const std::uint64_t released = released_since_check_;
  const auto facts = co_await read_facts(deadline);
  if (!facts) co_return pass(facts);
  const auto run = facts->info.find("run_id");
  if (run != facts->info.end() && run->second != redis_run_) {
    if (!redis_run_.empty()) ++times_replaced_;
    redis_run_ = run->second;
  }
  stats_.memory_used = std::strtoull(facts->info.at("used_memory").c_str(), nullptr, 10);
  stats_.memory_max = std::strtoull(facts->info.at("maxmemory").c_str(), nullptr, 10);
  appended_since_check_ -= appended;
  released_since_check_ -= released;
  if (auto sound = check_redis(*facts, settings_.durability, settings_.record_bytes_max); !sound) {
    co_return sound;
  }
  if (auto same = co_await check_partitions(deadline); !same) co_return same;
  if (!health_) {
    if (auto made = co_await make_groups(deadline); !made) co_return made;
  }
  if (auto figures = co_await stats(deadline); !figures) co_return pass(std::move(figures));
  co_return Result<void>{};
}

Task<Result<RedisFacts>> RedisBuffer::read_facts(Deadline deadline) {
  CommandBatch batch;
  for (std::string_view name : {"appendonly", "appendfsync", "no-appendfsync-on-rewrite",
                                "maxmemory-policy", "proto-max-bulk-len"}) {
    batch.add({"CONFIG", "GET", name});
  }
  batch.add({"INFO"});
  auto replies = co_await small_pool_.call(batch, deadline);
  if (!replies) co_return pass(std::move(replies));
  RedisFacts facts;
  for (const Reply& reply : *replies) {
    if (reply.is_error()) co_return core::Failure(classify(reply));
    if (reply.is_array() && reply.elements.size() >= 2) {
      facts.config[reply.elements[0].text] = reply.elements[1].text;
    }
  }
  facts.info = parse_info(replies->back().text);
  if (!facts.info.contains("used_memory") || !facts.info.contains("maxmemory")) {
    co_return core::fail(Code::misconfigured, Origin::buffer, Retry::safe,
                         "INFO lacks used_memory or maxmemory: this is not a Redis >= 6.2");
  }
  co_return facts;
}

Task<Result<void>> RedisBuffer::check_partitions(Deadline deadline) {
  const std::string name = settings_.prefix + ":partitions";
  const std::string ours = std::to_string(settings_.partitions);
  CommandBatch batch;
  batch.add({"SET", name, ours, "NX"}).add({"GET", name});
  const auto replies = co_await call(std::move(batch), deadline);
  if (!replies) co_return pass(replies);
  // It was set a moment ago, so whatever was in this Redis before is gone.
  if (!replies->front().is_nil() && stats_.accepted != 0) ++times_replaced_;
  if (const std::string& theirs = replies->back().text; theirs != ours) {
    co_return core::fail(
        Code::misconfigured, Origin::buffer, Retry::safe,
        "buffer.partitions is " + ours + " but this buffer was made with " + theirs +
            ". Set it back; or drain the buffer first and then: redis-cli DEL " + name);
  }
  co_return Result<void>{};
}

}  // namespace daybook::storage
