#include "storage/redis_scan.hpp"

#include <charconv>

#include "storage/redis_buffer.hpp"
#include "storage/redis_scripts.hpp"

namespace daybook::storage {

using core::Code;
using core::Deadline;
using core::Origin;
using core::RecordId;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::CommandBatch;
using core::resp::Reply;

constexpr std::string_view kPage = "1000";

RedisScan::RedisScan(io::IoRuntime& runtime, RedisTarget server, std::string prefix)
    : runtime_(runtime), prefix_(std::move(prefix)), router_(runtime, std::move(server), {}) {}

std::string RedisScan::key(const RecordId& id, std::string_view rest) const {
  return "{" + prefix_ + ":" + std::to_string(id.partition()) + "}:" + std::string(rest);
}

Task<RedisScan::Replies> RedisScan::call(RedisRequest request, Deadline deadline) {
  auto replies = co_await router_.call(RedisRouter::Lane::small, request, deadline);
  // A kept connection to a Redis that was restarted since; everything here may be repeated.
  if (!replies && replies.error().code == Code::closed) {
    replies = co_await router_.call(RedisRouter::Lane::small, request, deadline);
  }
  if (!replies) co_return replies;
  for (const Reply& reply : *replies) {
    if (reply.is_error()) co_return core::Failure(classify(reply));
  }
  co_return replies;
}

Task<Result<std::uint32_t>> RedisScan::partitions(Deadline deadline) {
  const std::string name = prefix_ + ":partitions";
  RedisRequest request;
  request.on(name).add({"GET", name});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  const std::string& text = replies->front().text;
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (!replies->front().is_nil() && (error != std::errc{} || end != text.data() + text.size())) {
    co_return core::fail(Code::damaged, Origin::buffer, Retry::never,
                         "the Redis key " + name + " holds no number");
  }
  co_return count;
}

Task<Result<void>> RedisScan::visit_all(std::uint32_t partitions, Visit visit,
                                        core::Duration timeout) {
  for (std::uint32_t p = 0; p < partitions; ++p) {
    const std::string tag = "{" + prefix_ + ":" + std::to_string(p) + "}:";
    auto pending = co_await visit_hash(tag + "pending", {.pending = true}, visit, timeout);
    if (!pending) co_return pending;
    auto parked = co_await visit_hash(tag + "parked", {.parked = true}, visit, timeout);
    if (!parked) co_return parked;
  }
  if (auto known = co_await router_.look(runtime_.steady_now() + timeout); !known) co_return known;
  for (const io::Endpoint& master : router_.masters()) {
    auto bytes = co_await visit_bytes(master, visit, timeout);
    if (!bytes) co_return bytes;
  }
  co_return Result<void>{};
}

Task<Result<void>> RedisScan::visit_hash(std::string name, BufferSight sight, Visit visit,
                                         core::Duration timeout) {
  std::string cursor = "0";
  do {
    RedisRequest request;
    request.on(name).add({"HSCAN", name, cursor, "COUNT", kPage});
    const auto replies = co_await call(std::move(request), runtime_.steady_now() + timeout);
    if (!replies) co_return pass(replies);
    const Reply& page = replies->front();
    if (page.elements.size() != 2) co_return core::Failure(classify(page));
    cursor = page.elements[0].text;
    const auto& fields = page.elements[1].elements;
    for (std::size_t i = 0; i < fields.size(); i += 2) {
      if (const auto id = RecordId::parse(fields[i].text)) visit(*id, sight);
    }
  } while (cursor != "0");
  co_return Result<void>{};
}

Task<Result<void>> RedisScan::visit_bytes(io::Endpoint master, Visit visit,
                                          core::Duration timeout) {
  const std::string pattern = "{" + prefix_ + ":*}:record:*";
  std::string cursor = "0";
  do {
    CommandBatch batch;
    batch.add({"SCAN", cursor, "MATCH", pattern, "COUNT", kPage});
    const auto replies =
        co_await router_.call_master(master, std::move(batch), runtime_.steady_now() + timeout);
    if (!replies) co_return pass(replies);
    const Reply& page = replies->front();
    if (page.elements.size() != 2) co_return core::Failure(classify(page));
    cursor = page.elements[0].text;
    for (const Reply& name : page.elements[1].elements) {
      const auto id = RecordId::parse(name.text.substr(name.text.rfind(':') + 1));
      // A key in another partition than its id's is none of the buffer's.
      if (id && name.text == key(*id, "record:" + id->str())) visit(*id, {.bytes = true});
    }
  } while (cursor != "0");
  co_return Result<void>{};
}

Task<Result<BufferSight>> RedisScan::look(RecordId id, Deadline deadline) {
  const std::string text = id.str();
  RedisRequest request;
  for (const char* hash : {"pending", "parked", "dropped"}) {
    const std::string where = key(id, hash);
    request.on(where).add({"HEXISTS", where, text});
  }
  const std::string record = key(id, "record:" + text);
  request.on(record).add({"EXISTS", record});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  const auto yes = [&replies](std::size_t i) { return (*replies)[i].integer == 1; };
  co_return BufferSight{.pending = yes(0), .parked = yes(1), .bytes = yes(3), .dropped = yes(2)};
}

Task<Result<std::string>> RedisScan::load(RecordId id, Deadline deadline) {
  const std::string record = key(id, "record:" + id.str());
  RedisRequest request;
  request.on(record).add({"GET", record});
  auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(std::move(replies));
  if (replies->front().is_nil()) {
    co_return core::fail(Code::not_found, Origin::buffer, Retry::never,
                         "the bytes of record " + id.str() + " are not in Redis");
  }
  co_return std::move(replies->front().text);
}

Task<Result<bool>> RedisScan::drop_bytes(RecordId id, Deadline deadline) {
  const std::string record = key(id, "record:" + id.str());
  RedisRequest request;
  request.on(record).add(std::vector<std::string>{"EVAL", std::string(scripts::kDropBytes), "3",
                                                  record, key(id, "pending"), key(id, "parked"),
                                                  id.str()});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  co_return replies->front().integer == 1;
}

Task<Result<bool>> RedisScan::restore_entry(RecordId id, std::uint64_t stored_size,
                                            core::Sha256 stored_sha256, Deadline deadline) {
  const std::string record = key(id, "record:" + id.str());
  RedisRequest request;
  request.on(record).add(std::vector<std::string>{
      "EVAL", std::string(scripts::kRestoreEntry), "4", record, key(id, "wal"), key(id, "pending"),
      key(id, "parked"), id.str(), std::to_string(stored_size), stored_sha256.hex()});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  co_return replies->front().integer == 1;
}

}  // namespace daybook::storage
