// What the buffer knows of its servers: whether their settings keep the promise, how full they are,
// whether they are the ones that they were.
#include <algorithm>
#include <cstdlib>

#include <spdlog/spdlog.h>

#include "storage/redis_buffer.hpp"
#include "storage/redis_checks.hpp"
#include "storage/redis_facts.hpp"

namespace daybook::storage {

using core::Code;
using core::Deadline;
using core::Error;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr auto kAwayPause = std::chrono::milliseconds(200);
constexpr auto kBackSoon = std::chrono::seconds(10);

Task<> RedisBuffer::run() {
  while (!closing_) {
    recheck_ = false;
    auto outcome = co_await check(runtime_.steady_now() + std::chrono::seconds(5));
    // Something broke while we looked: look once more before the picture is trusted.
    const bool again = recheck_ && outcome;
    const core::SteadyTime now = runtime_.steady_now();
    core::Duration pause = settings_.check_interval;
    if (again) pause = std::chrono::milliseconds(10);
    if (outcome) away_since_ = now;
    // A server that went away is back soon, or not for long; what somebody must mend waits for him.
    if (!outcome && outcome.error().code == Code::unavailable) {
      const bool just_now = now - away_since_ < kBackSoon;
      pause = std::min<core::Duration>(pause, just_now ? kAwayPause : 5 * kAwayPause);
    }
    if (!again) health_ = std::move(outcome);
    checked_->notify_all();
    if (!closing_) co_await check_now_->wait(runtime_.steady_now() + pause);
  }
}

void RedisBuffer::close() {
  closing_ = true;
  check_now_->notify_all();
  checked_->notify_all();
  appended_->notify_all();
}

Task<Result<void>> RedisBuffer::ready(Deadline deadline) {
  while (!health_ && health_.error().code == Code::unavailable && !closing_ &&
         runtime_.steady_now() < deadline) {
    co_await checked_->wait(deadline);
  }
  co_return health_;
}

std::uint64_t RedisBuffer::missing_room(std::uint64_t bytes) const {
  // Of several servers, the one with the least room: which of them gets the record is not known
  // yet.
  const std::uint64_t memory_max = fullest_.memory_max;
  if (memory_max == 0) return 0;
  const std::uint64_t reserve = std::min(settings_.memory_reserve, memory_max / 4);
  const std::uint64_t grown = fullest_.memory_used + appended_since_check_;
  const std::uint64_t used = grown - std::min(grown, released_since_check_);
  const std::uint64_t needed = used + bytes + reserve;
  return needed > memory_max ? needed - memory_max : 0;
}

double RedisBuffer::drain_per_second() const {
  return drained_.per_second(runtime_.steady_now());
}

void RedisBuffer::note(const Error& failure) {
  const bool was_good = health_.has_value();
  if (failure.retry == Retry::unknown_outcome || failure.code == Code::unavailable ||
      failure.code == Code::closed) {
    if (health_) {
      health_ = core::fail(Code::unavailable, Origin::buffer, Retry::safe,
                           "the connection to Redis was lost: " + failure.detail);
    }
  }
  recheck_ = true;
  // While something is wrong already, the next check comes by itself.
  if (was_good) check_now_->notify_all();
}

Task<Result<void>> RedisBuffer::check(Deadline deadline) {
  const std::uint64_t appended = appended_since_check_;
  const std::uint64_t released = released_since_check_;
  if (auto known = co_await router_.look(deadline); !known) co_return known;
  seen_ = {};
  Result<void> sound;
  for (const io::Endpoint& master : router_.masters()) {
    auto outcome = co_await check_master(master, deadline);
    if (sound) sound = std::move(outcome);  // the first complaint; the figures of all
  }
  note_runs();
  if (seen_.servers.size() == router_.masters().size()) {
    servers_ = std::move(seen_.servers);
    advice_ = std::move(seen_.advice);
    wait_for_fsync_ = seen_.all_have_waitaof;
    note_memory();
    note_advice();
  }
  appended_since_check_ -= appended;
  released_since_check_ -= released;
  if (!sound) co_return sound;
  if (auto same = co_await check_partitions(deadline); !same) co_return same;
  if (!health_) {
    if (auto made = co_await make_groups(deadline); !made) co_return made;
  }
  // While a slot moves, its partition's figures cannot be read; that alone stops nothing.
  if (auto figures = co_await stats(deadline);
      !figures && figures.error().code != Code::overloaded) {
    co_return pass(std::move(figures));
  }
  co_return Result<void>{};
}

Task<Result<void>> RedisBuffer::check_master(io::Endpoint master, Deadline deadline) {
  const auto facts = co_await read_redis_facts(router_, master, deadline);
  if (!facts) co_return pass(facts);  // its words name the server
  const std::string name = master.str();
  const auto number = [&facts](const char* field) {
    return std::strtoull(facts->info.at(field).c_str(), nullptr, 10);
  };
  seen_.servers.push_back({name, number("used_memory"), number("maxmemory")});
  if (const auto run = facts->info.find("run_id"); run != facts->info.end()) {
    seen_.runs[name] = run->second;
  }
  const bool several = router_.kind() != RedisTarget::Kind::single;
  auto sound = check_redis(*facts, settings_.durability, settings_.record_bytes_max, several);
  if (sound && !health_) sound = co_await check_access(master, deadline);
  seen_.all_have_waitaof = seen_.all_have_waitaof && has_waitaof(facts->info);
  if (sound && (replicas_ != 0 || several)) {
    sound = co_await look_at_replicas(master, *facts, deadline);
  }
  for (RedisAdvice& advice :
       advise_redis(*facts, settings_.durability, settings_.record_bytes_max, several)) {
    // Masters are set alike as a rule, and so is the advice about them.
    const bool known = std::ranges::find(seen_.advice, advice.subject, &RedisAdvice::subject) !=
                       seen_.advice.end();
    if (!known) seen_.advice.push_back(std::move(advice));
  }
  if (!sound && several) sound.error().detail = name + ": " + sound.error().detail;
  co_return sound;
}

// Commands that would be refused are named before the first record needs them.
Task<Result<void>> RedisBuffer::check_access(io::Endpoint master, Deadline deadline) {
  for (std::uint32_t p = 0; p < settings_.partitions; ++p) {
    const auto owner = router_.master_of(key(p, "wal"));
    if (!owner || owner->str() != master.str()) continue;
    co_return co_await probe_access(router_, master, key(p, "probe"), replicas_ != 0, deadline);
  }
  co_return Result<void>{};  // it serves none of ours
}

// Replicas are asked once, and again when the master names others.
Task<Result<void>> RedisBuffer::look_at_replicas(io::Endpoint master, RedisFacts facts,
                                                 Deadline deadline) {
  const auto replicas = replicas_of_info(facts.info);
  std::string names;
  for (const io::Endpoint& replica : replicas) names += replica.str() + " ";
  Replicas& known = replicas_of_[master.str()];
  if (known.names != names || !known.sound) {
    const auto found = co_await read_replicas(router_, replicas, deadline);
    known = {std::move(names), check_replicas(found, settings_.durability, has_waitaof(facts.info)),
             advise_replicas(found, settings_.durability)};
  }
  seen_.advice.insert(seen_.advice.end(), known.advice.begin(), known.advice.end());
  co_return known.sound;
}

// A partition whose master is another server, or another run of it, may have lost records.
void RedisBuffer::note_runs() {
  bool replaced = false;
  partition_runs_.resize(settings_.partitions);
  for (std::uint32_t p = 0; p < settings_.partitions; ++p) {
    const auto owner = router_.master_of(key(p, "wal"));
    const auto run = owner ? seen_.runs.find(owner->str()) : seen_.runs.end();
    if (run == seen_.runs.end() || run->second == partition_runs_[p]) continue;
    replaced = replaced || !partition_runs_[p].empty();
    partition_runs_[p] = run->second;
  }
  if (replaced) ++times_replaced_;
}

void RedisBuffer::note_memory() {
  stats_.memory_used = 0;
  stats_.memory_max = 0;
  bool limited = true;
  fullest_ = {};
  for (const Server& server : servers_) {
    stats_.memory_used += server.memory_used;
    stats_.memory_max += server.memory_max;
    limited = limited && server.memory_max != 0;
    const auto room = [](const Server& one) {
      return one.memory_max - std::min(one.memory_max, one.memory_used);
    };
    const bool fuller = fullest_.memory_max == 0 || room(server) < room(fullest_);
    if (server.memory_max != 0 && fuller) fullest_ = server;
  }
  if (!limited) stats_.memory_max = 0;
}

void RedisBuffer::note_advice() {
  for (const RedisAdvice& advice : advice_) {
    if (advised_.insert(advice.subject).second) {
      spdlog::warn("{} {}. {}", advice.subject, advice.detail, advice.mend);
    }
  }
}

Task<Result<void>> RedisBuffer::check_partitions(Deadline deadline) {
  const std::string name = settings_.prefix + ":partitions";
  const std::string ours = std::to_string(settings_.partitions);
  RedisRequest request;
  request.on(name).add({"SET", name, ours, "NX"});
  request.on(name).add({"GET", name});
  const auto replies = co_await call(std::move(request), deadline);
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
