// Appends: one record or several in one MULTI, tried again until the deadline while the server is
// away.
#include <algorithm>
#include <span>

#include "core/check.hpp"
#include "storage/redis_buffer.hpp"
#include "storage/redis_scripts.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::Error;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::CommandBatch;
using core::resp::Reply;

// How long a repeated append is recognised; appends are repeated within buffer.append_timeout, and
// a server that was stopped may go on reading an old one later.
constexpr std::chrono::milliseconds kMarkerTime = std::chrono::minutes(15);

}  // namespace

Task<Result<core::Appended>> RedisBuffer::append(const core::SealedObject& object,
                                                 std::string receipt_head,
                                                 std::optional<core::IdempotencyKey> name,
                                                 Deadline deadline) {
  Append what;
  what.items.push_back({&object, std::move(receipt_head)});
  what.key = std::move(name);
  what.digest = object.envelope().sha256;
  auto appended = co_await append(std::move(what), deadline);
  if (!appended) co_return pass(std::move(appended));
  co_return std::move(appended->front());
}

Task<Result<std::vector<core::Appended>>> RedisBuffer::append_all(
    std::vector<core::AppendItem> items, std::optional<core::IdempotencyKey> name,
    core::Sha256 digest, Deadline deadline) {
  CHECK(!items.empty());
  const auto partition = [](const core::AppendItem& item) {
    return item.object->envelope().id.partition();
  };
  for (const core::AppendItem& item : items) CHECK(partition(item) == partition(items.front()));
  co_return co_await append(Append{std::move(items), std::move(name), digest, true}, deadline);
}

Task<Result<std::vector<core::Appended>>> RedisBuffer::append(Append what, Deadline deadline) {
  Error last{Code::timeout, Origin::buffer, Retry::safe, "Redis did not take the record in time"};
  bool outcome_unknown = false;
  std::optional<core::SteadyTime> away_since;
  while (runtime_.steady_now() < deadline) {
    if (!health_) {
      last = health_.error();
      if (last.code == Code::misconfigured || last.code == Code::denied) break;
      const core::SteadyTime now = runtime_.steady_now();
      if (!away_since) away_since = now;
      const core::Deadline patience = std::min(deadline, *away_since + settings_.reconnect_grace);
      if (now >= patience) break;
      co_await checked_->wait(patience);
      continue;
    }
    away_since.reset();
    const auto replies = co_await append_once(what, deadline);
    if (!replies) {
      last = replies.error();
      outcome_unknown = outcome_unknown || last.retry == Retry::unknown_outcome;
      note(last);
      continue;
    }
    const Reply& exec = replies->at(what.items.size() + 2);
    const auto queued = std::span(*replies).first(what.items.size() + 3);
    if (const auto refused = std::ranges::find_if(queued, &Reply::is_error);
        refused != queued.end()) {
      // Queueing failed (OOM, read-only): EXEC was refused as a whole and nothing is stored.
      last = classify(*refused);
      note(last);
      // The server is not, or not yet, the one that takes it: it has the time of a lost connection.
      if (last.code != Code::unavailable) co_return core::Failure(std::move(last));
      continue;
    }
    auto appended = read_append(what, exec);
    if (!appended) co_return appended;
    for (const core::AppendItem& item : what.items) {
      appended_since_check_ += item.object->stored_size();
    }
    appends_ += what.items.size();
    appended_->notify_all();
    if (replicas_ != 0) {
      if (auto enough = enough_replicas(replies->back()); !enough) co_return pass(enough);
    }
    co_return appended;
  }
  if (outcome_unknown) last.retry = Retry::unknown_outcome;
  co_return core::Failure(std::move(last));
}

Result<std::vector<core::Appended>> RedisBuffer::read_append(const Append& what,
                                                             const Reply& exec) {
  const bool whole = exec.is_array() && exec.elements.size() == what.items.size() + 1;
  const Reply& answer = whole ? exec.elements.back() : exec;
  if (!whole || !answer.is_array() || answer.elements.empty()) {
    return core::Failure(classify(answer));
  }
  if (answer.elements[0].text == "taken") {
    return core::fail(Code::in_flight, Origin::client, Retry::safe,
                      "another request with this idempotency key was faster");
  }
  if (answer.elements.size() != what.items.size() + 1) {
    return core::fail(Code::internal, Origin::buffer, Retry::unknown_outcome,
                      "Redis named fewer positions than records were appended");
  }
  std::vector<core::Appended> appended;
  for (std::size_t i = 0; i < what.items.size(); ++i) {
    const std::string& position = answer.elements[i + 1].text;
    appended.push_back(
        {position, what.items[i].receipt_head + ",\"position\":\"" + position + "\"}"});
  }
  return appended;
}

Task<RedisBuffer::Replies> RedisBuffer::append_once(const Append& what, Deadline deadline) {
  const auto window =
      std::chrono::duration_cast<std::chrono::milliseconds>(settings_.idempotency_window);
  const std::uint32_t partition = what.items.front().object->envelope().id.partition();
  const std::size_t keys = 4 + (2 * what.items.size()) + (what.key ? 1 : 0);
  std::vector<std::string> script = {"EVAL",
                                     std::string(scripts::kAppend),
                                     std::to_string(keys),
                                     key(partition, "wal"),
                                     key(partition, "pending"),
                                     key(partition, "counters"),
                                     key(partition, "parked")};
  std::vector<std::string> arguments = {
      std::to_string(what.items.size()), what.digest.hex(), std::to_string(window.count()),
      std::to_string(kMarkerTime.count()), what.together ? "1" : "0"};
  RedisRequest request;
  CommandBatch& batch = request.on(script[3]);
  batch.add({"MULTI"});
  for (const core::AppendItem& item : what.items) {
    const core::SealedObject& object = *item.object;
    const core::RecordId& id = object.envelope().id;
    const std::string record = record_key(id);
    batch.add({"SET", record}, object.slices());
    script.push_back(record);
    script.push_back(key(partition, "appended:" + id.str()));
    for (std::string argument : {id.str(), std::to_string(object.stored_size()),
                                 object.stored_sha256().hex(), item.receipt_head}) {
      arguments.push_back(std::move(argument));
    }
  }
  if (what.key) script.push_back(idempotency_key(*what.key));
  std::ranges::move(arguments, std::back_inserter(script));
  batch.add(script).add({"EXEC"});
  add_wait(batch, deadline);
  co_return co_await router_.call(Lane::append, request, deadline);
}

}  // namespace daybook::storage
