// The side of the buffer that ingest uses, with redis_buffer_append.cpp; redis_buffer_health.cpp
// looks at Redis itself, redis_buffer_pipeline.cpp is the pipeline's side.
#include "storage/redis_buffer.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/digest.hpp"
#include "storage/redis_scripts.hpp"

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

Error classify(const Reply& reply) {
  const std::string& text = reply.text;
  const auto error = [&text](Code code, Retry retry, const std::string& hint = {}) {
    return Error{code, Origin::buffer, retry, "Redis says: " + text + hint};
  };
  if (text.starts_with("OOM")) return error(Code::out_of_space, Retry::safe);
  if (text.starts_with("MISCONF")) return error(Code::out_of_space, Retry::safe);
  for (const char* passing : {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "MOVED", "LOST ",
                              "EXECABORT", "UNBLOCKED"}) {
    if (text.starts_with(passing)) return error(Code::unavailable, Retry::safe);
  }
  // One partition's slot is on its way to another master; the other partitions go on.
  if (text.starts_with("TRYAGAIN") || text.starts_with("ASK ")) {
    return error(Code::overloaded, Retry::safe);
  }
  if (text.starts_with("NOREPLICAS")) {
    return error(Code::unavailable, Retry::safe,
                 " It has fewer replicas than its min-replicas-to-write: start them");
  }
  if (text.starts_with("NOPERM")) {
    return error(Code::denied, Retry::never, ". Grant the commands to buffer.username");
  }
  if (text.starts_with("NOAUTH") || text.starts_with("WRONGPASS")) {
    return error(Code::denied, Retry::never, ". Check buffer.username and buffer.password");
  }
  return error(Code::internal, Retry::safe);
}

RedisBuffer::RedisBuffer(io::IoRuntime& runtime, RedisBufferSettings settings)
    : runtime_(runtime),
      settings_(std::move(settings)),
      replicas_(replicas_of(settings_.durability).value_or(0)),
      router_(runtime, settings_.server, {.append = settings_.append_connections}),
      check_now_(runtime.make_signal()),
      checked_(runtime.make_signal()),
      appended_(runtime.make_signal()),
      health_(core::fail(Code::unavailable, Origin::buffer, Retry::safe,
                         "Redis has not been checked yet")),
      away_since_(runtime.steady_now()) {}

std::string RedisBuffer::key(std::uint32_t partition, std::string_view rest) const {
  return "{" + settings_.prefix + ":" + std::to_string(partition) + "}:" + std::string(rest);
}

std::string RedisBuffer::record_key(const core::RecordId& id) const {
  return key(id.partition(), "record:" + id.str());
}

std::string RedisBuffer::idempotency_key(const core::IdempotencyKey& name) const {
  const std::string hash = core::sha256(core::as_bytes(name.tenant + '\0' + name.key)).hex();
  const auto partition =
      static_cast<std::uint32_t>(std::stoul(hash.substr(0, 8), nullptr, 16)) % settings_.partitions;
  return key(partition, "key:" + hash.substr(0, 40));
}

std::uint32_t RedisBuffer::partition_of(const std::optional<core::IdempotencyKey>& name) {
  if (!name) return next_partition_++ % settings_.partitions;
  const std::string hash = core::sha256(core::as_bytes(name->tenant + '\0' + name->key)).hex();
  return static_cast<std::uint32_t>(std::stoul(hash.substr(0, 8), nullptr, 16)) %
         settings_.partitions;
}

// Everything that goes this way may be repeated, so a connection that turns out to be dead (Redis
// was restarted since it was last used) costs a second try and not the request.
Task<RedisBuffer::Replies> RedisBuffer::call(RedisRequest request, Deadline deadline) {
  auto replies = co_await router_.call(Lane::small, request, deadline);
  if (!replies && replies.error().code == Code::closed) {
    note(replies.error());
    replies = co_await router_.call(Lane::small, request, deadline);
  }
  if (!replies) {
    note(replies.error());
    co_return replies;
  }
  for (const Reply& reply : *replies) {
    if (reply.is_error()) co_return core::Failure(classify(reply));
  }
  co_return replies;
}

// --- ingest ---

Task<Result<core::Reservation>> RedisBuffer::reserve(core::IdempotencyKey name, core::RecordId id,
                                                     Deadline deadline) {
  const auto lease =
      std::chrono::duration_cast<std::chrono::milliseconds>(settings_.reservation_lease);
  const std::string where = idempotency_key(name);
  const std::string id_text = id.str();
  const std::string lease_ms = std::to_string(lease.count());
  RedisRequest request;
  request.on(where).add(
      {"EVAL", scripts::kReserve, "1", where, id_text, lease_ms, settings_.node, settings_.run});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  const auto& answer = replies->front().elements;
  if (answer.empty()) co_return core::Failure(classify(replies->front()));
  if (answer[0].text == "reserved") co_return core::Reservation(core::RequestReserved{});
  if (answer[0].text == "in_flight") co_return core::Reservation(core::RequestInFlight{});
  const auto digest = core::Sha256::from_hex(answer.at(1).text);
  if (!digest) {
    co_return core::fail(Code::damaged, Origin::buffer, Retry::never,
                         "the stored digest of this idempotency key is damaged");
  }
  // The first receipt may be repeated only where what it claims is true by now: the first answer
  // may have been that it was not.
  const auto confirmed = co_await confirm_replicas(partition_of(name), deadline);
  if (!confirmed) co_return pass(confirmed);
  co_return core::Reservation(core::SettledRequest{*digest, answer.at(2).text});
}

std::string RedisBuffer::replica_wait_ms(Deadline deadline) const {
  // A part of what is left: the append before it takes time, and there may be two waits.
  const auto left = (deadline - runtime_.steady_now()) / (wait_for_fsync_ ? 3 : 2);
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::min<core::Duration>(left, settings_.replica_timeout));
  return std::to_string(std::max<std::int64_t>(1, wait.count()));  // 0 would be for ever
}

Result<void> RedisBuffer::enough_replicas(const Reply& counted) const {
  // WAITAOF counts the server's own file, too.
  const bool both = counted.is_array() && counted.elements.size() == 2;
  const std::int64_t count = both ? counted.elements[1].integer : counted.integer;
  const bool own = !both || counted.elements[0].integer == 1;
  if (own && count >= static_cast<std::int64_t>(replicas_)) return {};
  return core::fail(Code::unavailable, Origin::buffer, Retry::unknown_outcome,
                    "Durability " + settings_.durability + " was not reached: " +
                        std::to_string(count) + " of " + std::to_string(replicas_) +
                        " replicas confirmed the record in time (buffer.replica_timeout), so it "
                        "is not acknowledged, although Redis itself has " +
                        (own ? "fsynced it" : "it") +
                        (counted.is_error() ? ". Redis says: " + counted.text : ""));
}

std::string_view RedisBuffer::replicas_confirm_with() const {
  if (replicas_ == 0) return "";
  return wait_for_fsync_ ? "WAITAOF" : "WAIT";
}

void RedisBuffer::add_wait(CommandBatch& batch, Deadline deadline) const {
  if (replicas_ == 0) return;
  const std::string count = std::to_string(replicas_);
  const std::string wait_ms = replica_wait_ms(deadline);
  batch.add({"WAIT", count, wait_ms});
  // A replica tells what it has fsynced when it is asked, or once a second. WAITAOF alone asks
  // while the replica is still at it, and waits for that second; after a WAIT it asks once more.
  if (wait_for_fsync_) batch.add({"WAITAOF", "1", count, wait_ms});
}

// WAIT speaks for what its own connection wrote, and for all that was written before. So this one
// writes something first.
Task<Result<void>> RedisBuffer::confirm_replicas(std::uint32_t partition, Deadline deadline) {
  if (replicas_ == 0) co_return Result<void>{};
  const std::string mark = key(partition, "replicated");
  RedisRequest request;
  CommandBatch& batch = request.on(mark);
  batch.add({"SET", mark, settings_.run, "PX", "60000"});
  add_wait(batch, deadline);
  auto replies = co_await router_.call(Lane::append, request, deadline);
  if (!replies) {
    note(replies.error());
    co_return pass(replies);
  }
  if (replies->front().is_error()) co_return core::Failure(classify(replies->front()));
  co_return enough_replicas(replies->back());
}

Task<> RedisBuffer::abandon(core::IdempotencyKey name, core::RecordId id) {
  const std::string where = idempotency_key(name);
  const std::string id_text = id.str();
  RedisRequest request;
  request.on(where).add({"EVAL", scripts::kAbandon, "1", where, id_text});
  // Best effort: the lease ends it otherwise.
  static_cast<void>(
      co_await call(std::move(request), runtime_.steady_now() + std::chrono::seconds(2)));
}

}  // namespace daybook::storage
