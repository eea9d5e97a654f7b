#include "storage/redis_places.hpp"

#include <charconv>

#include "storage/redis_buffer.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::Origin;
using core::PlaceClaim;
using core::PlaceHolder;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::Reply;

// KEYS: lease, state. ARGV: node, run, lease ms, report. -> {granted, holder, fence, place, report}
constexpr std::string_view kClaim = R"lua(
local mine = ARGV[1] .. ' ' .. ARGV[2]
local held = redis.call('GET', KEYS[1])
local granted = 0
if not held or string.match(held, '^%S*') == ARGV[1] then
  redis.call('SET', KEYS[1], mine, 'PX', ARGV[3])
  if held ~= mine then redis.call('HINCRBY', KEYS[2], 'fence', 1) end
  redis.call('HSET', KEYS[2], 'report', ARGV[4])
  held = mine
  granted = 1
end
local state = redis.call('HMGET', KEYS[2], 'fence', 'place', 'report')
return {granted, held, state[1] or '0', state[2] or '', state[3] or ''}
)lua";

// KEYS: lease, state. ARGV: fence, place.
constexpr std::string_view kSave = R"lua(
if redis.call('HGET', KEYS[2], 'fence') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'place', ARGV[2])
return 1
)lua";

// KEYS: lease, state. ARGV: node, run.
constexpr std::string_view kGiveUp = R"lua(
if redis.call('GET', KEYS[1]) == ARGV[1] .. ' ' .. ARGV[2] then redis.call('DEL', KEYS[1]) end
return 1
)lua";

// KEYS: lease, state. ARGV: place.
constexpr std::string_view kReset = R"lua(
redis.call('HINCRBY', KEYS[2], 'fence', 1)
redis.call('HSET', KEYS[2], 'place', ARGV[1])
return 1
)lua";

}  // namespace

Task<Result<Reply>> RedisPlaces::run(std::string_view script, std::string poller,
                                     std::vector<std::string> arguments, Deadline deadline) {
  const std::string tag = "{" + prefix_ + ":poller:" + poller + "}:";
  std::vector<std::string> words = {"EVAL", std::string(script), "2", tag + "lease", tag + "state"};
  words.insert(words.end(), std::make_move_iterator(arguments.begin()),
               std::make_move_iterator(arguments.end()));
  RedisRequest request;
  request.on(words[3]).add(words);
  auto replies = co_await router_.call(RedisRouter::Lane::small, request, deadline);
  // A kept connection to a Redis that was restarted since. Every step may be repeated.
  if (!replies && replies.error().code == Code::closed) {
    replies = co_await router_.call(RedisRouter::Lane::small, request, deadline);
  }
  if (!replies) co_return pass(std::move(replies));
  if (replies->front().is_error()) co_return core::Failure(classify(replies->front()));
  co_return std::move(replies->front());
}

Task<Result<PlaceClaim>> RedisPlaces::claim(std::string poller, PlaceHolder holder,
                                            core::Duration lease, std::string report,
                                            Deadline deadline) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(lease).count();
  const auto reply =
      co_await run(kClaim, std::move(poller),
                   {holder.node, holder.run, std::to_string(ms), std::move(report)}, deadline);
  if (!reply) co_return pass(reply);
  const auto& parts = reply->elements;
  PlaceClaim claim;
  if (parts.size() != 5) {
    co_return core::fail(Code::damaged, Origin::buffer, Retry::never,
                         "Redis answered a poller's claim with something else");
  }
  claim.granted = parts[0].integer == 1;
  claim.holder = parts[1].text.substr(0, parts[1].text.find(' '));
  const std::string& fence = parts[2].text;
  std::from_chars(fence.data(), fence.data() + fence.size(), claim.fence);
  claim.place = parts[3].text;
  claim.report = parts[4].text;
  co_return claim;
}

Task<Result<void>> RedisPlaces::save(std::string poller, std::uint64_t fence, std::string place,
                                     Deadline deadline) {
  const std::string name = poller;
  const auto reply =
      co_await run(kSave, std::move(poller), {std::to_string(fence), std::move(place)}, deadline);
  if (!reply) co_return pass(reply);
  if (reply->integer == 1) co_return Result<void>{};
  co_return core::fail(Code::conflict, Origin::buffer, Retry::never,
                       "poller " + name + " is another node's now, or its place was reset");
}

Task<Result<void>> RedisPlaces::give_up(std::string poller, PlaceHolder holder, Deadline deadline) {
  const auto reply = co_await run(kGiveUp, std::move(poller), {holder.node, holder.run}, deadline);
  if (!reply) co_return pass(reply);
  co_return Result<void>{};
}

Task<Result<void>> RedisPlaces::reset(std::string poller, std::string place, Deadline deadline) {
  const auto reply = co_await run(kReset, std::move(poller), {std::move(place)}, deadline);
  if (!reply) co_return pass(reply);
  co_return Result<void>{};
}

}  // namespace daybook::storage
