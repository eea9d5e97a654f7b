#include "storage/redis_cursors.hpp"

#include <algorithm>
#include <charconv>

#include <boost/json.hpp>

#include "core/limits.hpp"
#include "core/text.hpp"
#include "storage/redis_buffer.hpp"
#include "storage/redis_cursor_scripts.hpp"

namespace daybook::storage {
namespace {

namespace scripts = cursor_scripts;
namespace json = boost::json;
using core::Code;
using core::Deadline;
using core::Origin;
using core::ParkedDelivery;
using core::Result;
using core::Retry;
using core::SubscriberRecord;
using core::Task;
using core::ToldParking;
using core::resp::Reply;

// More than a node has subscribers.
constexpr std::size_t kSavesTogether = core::limits::kConfigTablesMax;

std::string micros(core::WallTime time) {
  return std::to_string(time.time_since_epoch().count());
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<core::WallTime> time_of(std::string_view text) {
  const auto us = number_of<core::WallTime::rep>(text);
  if (!us) return std::nullopt;
  return core::WallTime(core::WallTime::duration(*us));
}

core::Failure damaged(const std::string& what) {
  return core::fail(Code::damaged, Origin::buffer, Retry::never,
                    what + " that is kept in Redis cannot be read; somebody else wrote it");
}

std::string told_text(const ToldParking& told) {
  return told.id.str() + "_" + micros(told.parked_at);
}

std::optional<ToldParking> told_of(std::string_view text) {
  const auto middle = text.find('_');
  if (middle == std::string_view::npos) return std::nullopt;
  const auto id = core::RecordId::parse(text.substr(0, middle));
  const auto at = time_of(text.substr(middle + 1));
  if (!id || !at) return std::nullopt;
  return ToldParking{.id = *id, .parked_at = *at};
}

std::string to_json(const ParkedDelivery& delivery) {
  json::array due;
  for (const std::string& event : delivery.due) due.push_back(json::value(event));
  const json::value parking =
      delivery.parking ? json::value(core::format_time(*delivery.parking)) : nullptr;
  return json::serialize(json::object{{"number", delivery.number},
                                      {"id", delivery.id.str()},
                                      {"due", std::move(due)},
                                      {"parking", parking},
                                      {"reason", delivery.reason},
                                      {"attempts", delivery.attempts},
                                      {"parked_at", core::format_time(delivery.parked_at)}});
}

// Nothing where a member is missing or of another kind.
std::optional<ParkedDelivery> parked_of(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  const json::object* object = value.if_object();
  if (error || object == nullptr) return std::nullopt;
  const auto word = [object](std::string_view name) -> std::string {
    const json::value* found = object->if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  const auto count = [object, &error](std::string_view name) -> std::uint64_t {
    const json::value* found = object->if_contains(name);
    return found != nullptr ? found->to_number<std::uint64_t>(error) : 0;
  };
  ParkedDelivery delivery;
  const auto id = core::RecordId::parse(word("id"));
  const json::value* due = object->if_contains("due");
  if (!id || due == nullptr || !due->is_array()) return std::nullopt;
  delivery.id = *id;
  for (const json::value& event : due->get_array()) {
    if (event.is_string()) delivery.due.emplace_back(event.get_string());
  }
  delivery.number = count("number");
  delivery.attempts = static_cast<std::uint32_t>(count("attempts"));
  delivery.parking = core::parse_time(word("parking"));
  delivery.reason = word("reason");
  delivery.parked_at = core::parse_time(word("parked_at")).value_or(core::WallTime{});
  if (error) return std::nullopt;
  return delivery;
}

void add_script(RedisRequest& request, std::string_view script,
                const std::vector<std::string>& keys, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"EVAL", std::string(script), std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  request.on(keys.front()).add(words);
}

// What a holder's write was answered: 0 to a fence that is old.
Result<void> written(const Reply& reply) {
  if (reply.is_error()) return core::Failure(classify(reply));
  if (reply.integer == 1) return {};
  return core::fail(Code::conflict, Origin::buffer, Retry::never,
                    "another node delivers to this subscriber by now");
}

Result<SubscriberRecord> read_record(const std::vector<Reply>& answer, std::uint64_t& fence) {
  SubscriberRecord record;
  record.holder = answer[1].text.substr(0, answer[1].text.find(' '));
  record.parked = static_cast<std::uint64_t>(answer[2].integer);
  record.redriving = static_cast<std::uint64_t>(answer[3].integer);
  std::map<std::string, std::string> state;
  const std::vector<Reply>& fields = answer[4].elements;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) state[fields[i].text] = fields[i + 1].text;
  if (state.contains("cursor")) {
    const auto sequence = number_of<std::uint64_t>(state["cursor"]);
    const auto published = time_of(state["published_at"]);
    if (!sequence || !published) return damaged("a subscriber's cursor");
    record.cursor = {.feed = state["feed"], .sequence = *sequence, .published_at = *published};
  }
  if (state.contains("pause_at")) {
    record.pause = {.reason = state["pause_reason"],
                    .at = time_of(state["pause_at"]).value_or(core::WallTime{})};
  }
  record.report = state["report"];
  fence = number_of<std::uint64_t>(state["fence"]).value_or(0);
  return record;
}

}  // namespace

std::string RedisCursors::key(const std::string& name, std::string_view rest) const {
  return "{" + prefix_ + ":subscriber:" + name + "}:" + std::string(rest);
}

RedisCursors::RedisCursors(io::IoRuntime& runtime, RedisTarget server, std::string prefix)
    : prefix_(std::move(prefix)),
      router_(runtime, std::move(server), {}),
      saves_(
          runtime, kSavesTogether,
          [this](std::vector<Saving> all) { return save_all(std::move(all)); },
          core::GroupCommit<Saving>::Start::together) {}

Task<Result<Reply>> RedisCursors::run(std::string_view script, Words keys, Words arguments,
                                      Deadline deadline) {
  RedisRequest request;
  add_script(request, script, keys, arguments);
  auto replies = co_await send(request, deadline);
  if (!replies) co_return pass(std::move(replies));
  if (replies->front().is_error()) co_return core::Failure(classify(replies->front()));
  co_return std::move(replies->front());
}

Task<RedisRouter::Replies> RedisCursors::send(const RedisRequest& request, Deadline deadline) {
  auto replies = co_await router_.call(RedisRouter::Lane::small, request, deadline);
  // A kept connection to a Redis that was restarted since; everything here may be repeated.
  if (!replies && replies.error().code == Code::closed) {
    replies = co_await router_.call(RedisRouter::Lane::small, request, deadline);
  }
  co_return replies;
}

Task<Result<void>> RedisCursors::write(std::string_view script, Words keys, Words arguments,
                                       Deadline deadline) {
  const auto reply = co_await run(script, std::move(keys), std::move(arguments), deadline);
  if (!reply) co_return pass(reply);
  co_return written(*reply);
}

Task<Result<core::SubscriberClaim>> RedisCursors::claim(std::string name,
                                                        core::SubscriberOwner owner,
                                                        core::Duration lease, std::string report,
                                                        Deadline deadline) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(lease);
  const auto reply = co_await run(
      scripts::kClaim,
      {key(name, "lease"), key(name, "state"), key(name, "parked"), key(name, "redrive")},
      {owner.node, owner.run, std::to_string(ms.count()), report}, deadline);
  if (!reply) co_return pass(reply);
  if (reply->elements.size() != 5) co_return damaged("a subscriber's state");
  core::SubscriberClaim claim;
  claim.granted = reply->elements[0].integer == 1;
  auto record = read_record(reply->elements, claim.fence);
  if (!record) co_return pass(std::move(record));
  claim.record = std::move(*record);
  co_return claim;
}

Task<Result<void>> RedisCursors::give_up(std::string name, core::SubscriberOwner owner,
                                         Deadline deadline) {
  const auto reply =
      co_await run(scripts::kGiveUp, {key(name, "lease")}, {owner.node, owner.run}, deadline);
  if (!reply) co_return pass(reply);
  co_return Result<void>{};
}

Task<Result<SubscriberRecord>> RedisCursors::look(std::string name, Deadline deadline) {
  const auto reply = co_await run(
      scripts::kClaim,
      {key(name, "lease"), key(name, "state"), key(name, "parked"), key(name, "redrive")}, {},
      deadline);
  if (!reply) co_return pass(reply);
  if (reply->elements.size() != 5) co_return damaged("a subscriber's state");
  std::uint64_t fence = 0;
  co_return read_record(reply->elements, fence);
}

Task<Result<void>> RedisCursors::save(std::string name, std::uint64_t fence,
                                      core::FeedCursor cursor, Deadline deadline) {
  Result<void> outcome;
  auto all = co_await saves_.submit(
      {.state = key(name, "state"),
       .arguments = {std::to_string(fence), cursor.feed, std::to_string(cursor.sequence),
                     micros(cursor.published_at)},
       .deadline = deadline,
       .outcome = &outcome});
  if (!all) co_return all;
  co_return outcome;
}

Task<Result<void>> RedisCursors::save_all(std::vector<Saving> all) {
  RedisRequest request;
  for (const Saving& one : all) add_script(request, scripts::kSave, {one.state}, one.arguments);
  const Deadline deadline = std::ranges::max_element(all, {}, &Saving::deadline)->deadline;
  const auto replies = co_await send(request, deadline);
  if (!replies) co_return pass(replies);
  for (std::size_t i = 0; i < all.size(); ++i) *all[i].outcome = written((*replies)[i]);
  co_return Result<void>{};
}

Task<Result<void>> RedisCursors::park(std::string name, std::uint64_t fence,
                                      ParkedDelivery delivery, Deadline deadline) {
  co_return co_await write(
      scripts::kPark,
      {key(name, "state"), key(name, "parked"), key(name, "order"), key(name, "redrive")},
      {std::to_string(fence), delivery.key(), std::to_string(delivery.number), to_json(delivery)},
      deadline);
}

Task<Result<void>> RedisCursors::unpark(std::string name, std::uint64_t fence, std::string parked,
                                        Deadline deadline) {
  co_return co_await write(
      scripts::kUnpark,
      {key(name, "state"), key(name, "parked"), key(name, "order"), key(name, "redrive")},
      {std::to_string(fence), parked}, deadline);
}

Task<Result<void>> RedisCursors::tell(std::string name, std::uint64_t fence,
                                      std::vector<ToldParking> told,
                                      std::vector<ToldParking> forgotten, Deadline deadline) {
  Words arguments = {std::to_string(fence), std::to_string(told.size())};
  for (const ToldParking& one : told) arguments.push_back(told_text(one));
  for (const ToldParking& one : forgotten) arguments.push_back(told_text(one));
  co_return co_await write(scripts::kTell, {key(name, "state"), key(name, "told")},
                           std::move(arguments), deadline);
}

Task<Result<std::vector<ToldParking>>> RedisCursors::told(std::string name, Deadline deadline) {
  const auto reply = co_await run(scripts::kTold, {key(name, "told")}, {}, deadline);
  if (!reply) co_return pass(reply);
  std::vector<ToldParking> all;
  for (const Reply& member : reply->elements) {
    const auto one = told_of(member.text);
    if (one) all.push_back(*one);
  }
  co_return all;
}

Task<Result<std::vector<ParkedDelivery>>> RedisCursors::list(std::string name,
                                                             std::string_view order,
                                                             std::size_t max, Deadline deadline) {
  const auto reply =
      co_await run(scripts::kList, {key(name, order), key(name, "parked"), key(name, "redrive")},
                   {std::to_string(max)}, deadline);
  if (!reply) co_return pass(reply);
  std::vector<ParkedDelivery> found;
  for (std::size_t i = 0; i + 1 < reply->elements.size(); i += 2) {
    auto delivery = parked_of(reply->elements[i].text);
    if (!delivery) co_return damaged("a parked delivery");
    delivery->redriving = reply->elements[i + 1].text == "1";
    found.push_back(std::move(*delivery));
  }
  co_return found;
}

Task<Result<std::vector<ParkedDelivery>>> RedisCursors::redrives(std::string name, std::size_t max,
                                                                 Deadline deadline) {
  co_return co_await list(std::move(name), "redrive", max, deadline);
}

Task<Result<std::vector<ParkedDelivery>>> RedisCursors::parked(std::string name, std::size_t max,
                                                               Deadline deadline) {
  co_return co_await list(std::move(name), "order", max, deadline);
}

Task<Result<void>> RedisCursors::pause(std::string name, core::SubscriberPause pause,
                                       Deadline deadline) {
  const auto reply = co_await run(scripts::kPause, {key(name, "state")},
                                  {pause.reason, micros(pause.at)}, deadline);
  if (!reply) co_return pass(reply);
  co_return Result<void>{};
}

Task<Result<void>> RedisCursors::resume(std::string name, Deadline deadline) {
  const auto reply = co_await run(scripts::kResume, {key(name, "state")}, {}, deadline);
  if (!reply) co_return pass(reply);
  co_return Result<void>{};
}

Task<Result<std::uint64_t>> RedisCursors::redrive(std::string name,
                                                  std::optional<core::RecordId> id,
                                                  Deadline deadline) {
  const auto reply = co_await run(scripts::kRedrive, {key(name, "order"), key(name, "redrive")},
                                  id ? Words{id->str()} : Words{}, deadline);
  if (!reply) co_return pass(reply);
  co_return static_cast<std::uint64_t>(reply->integer);
}

Task<Result<std::uint64_t>> RedisCursors::drop(std::string name, core::RecordId id,
                                               Deadline deadline) {
  const auto reply =
      co_await run(scripts::kDrop, {key(name, "parked"), key(name, "order"), key(name, "redrive")},
                   {id.str()}, deadline);
  if (!reply) co_return pass(reply);
  co_return static_cast<std::uint64_t>(reply->integer);
}

}  // namespace daybook::storage
