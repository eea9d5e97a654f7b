// The atomic steps of the subscribers' state, as Lua for Redis >= 6.2; redis_cursors.hpp has the
// keys.
#pragma once

#include <string_view>

namespace daybook::storage::cursor_scripts {

// KEYS: lease, state, parked, redrive. ARGV: node, run, lease ms, report; without: only a look.
// -> {granted, holder, parked, redriving, state as fields and values, with the report of before}
inline constexpr std::string_view kClaim = R"lua(
local held = redis.call('GET', KEYS[1])
local granted = 0
local state
if ARGV[1] then
  local mine = ARGV[1] .. ' ' .. ARGV[2]
  if not held or string.match(held, '^%S*') == ARGV[1] then
    redis.call('SET', KEYS[1], mine, 'PX', ARGV[3])
    if held ~= mine then redis.call('HINCRBY', KEYS[2], 'fence', 1) end
    state = redis.call('HGETALL', KEYS[2])
    redis.call('HSET', KEYS[2], 'report', ARGV[4])
    held = mine
    granted = 1
  end
end
return {granted, held or '', redis.call('HLEN', KEYS[3]), redis.call('ZCARD', KEYS[4]),
        state or redis.call('HGETALL', KEYS[2])}
)lua";

// KEYS: lease. ARGV: node, run.
inline constexpr std::string_view kGiveUp = R"lua(
if redis.call('GET', KEYS[1]) == ARGV[1] .. ' ' .. ARGV[2] then redis.call('DEL', KEYS[1]) end
return 1
)lua";

// KEYS: state. ARGV: fence, feed, cursor, published_at.
inline constexpr std::string_view kSave = R"lua(
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'feed', ARGV[2], 'cursor', ARGV[3], 'published_at', ARGV[4])
return 1
)lua";

// KEYS: state, parked, order, redrive. ARGV: fence, key, number, JSON.
inline constexpr std::string_view kPark = R"lua(
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[4])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[2])
return 1
)lua";

// KEYS: state, parked, order, redrive. ARGV: fence, key.
inline constexpr std::string_view kUnpark = R"lua(
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[2])
return 1
)lua";

// KEYS: state, told. ARGV: fence, how many were told, those, then those to forget.
inline constexpr std::string_view kTell = R"lua(
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
for i = 3, 2 + tonumber(ARGV[2]) do redis.call('SADD', KEYS[2], ARGV[i]) end
for i = 3 + tonumber(ARGV[2]), #ARGV do redis.call('SREM', KEYS[2], ARGV[i]) end
return 1
)lua";

inline constexpr std::string_view kTold = "return redis.call('SMEMBERS', KEYS[1])";

// KEYS: order (or redrive), parked, redrive. ARGV: how many. -> {JSON, 1 when it is to be redriven,
// …}
inline constexpr std::string_view kList = R"lua(
local found = {}
for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)) do
  local text = redis.call('HGET', KEYS[2], key)
  if text then
    found[#found + 1] = text
    found[#found + 1] = redis.call('ZSCORE', KEYS[3], key) and '1' or '0'
  end
end
return found
)lua";

// KEYS: state. ARGV: reason, time in us.
inline constexpr std::string_view kPause =
    "return redis.call('HSET', KEYS[1], 'pause_reason', ARGV[1], 'pause_at', ARGV[2])";
inline constexpr std::string_view kResume =
    "return redis.call('HDEL', KEYS[1], 'pause_reason', 'pause_at')";

// The keys of a record's parked deliveries begin with its id.
// KEYS: order, redrive. ARGV: record id, or nothing for all. -> how many were marked
inline constexpr std::string_view kRedrive = R"lua(
local marked = 0
local order = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #order, 2 do
  if not ARGV[1] or string.sub(order[i], 1, #ARGV[1]) == ARGV[1] then
    redis.call('ZADD', KEYS[2], order[i + 1], order[i])
    marked = marked + 1
  end
end
return marked
)lua";

// KEYS: parked, order, redrive. ARGV: record id. -> how many were dropped
inline constexpr std::string_view kDrop = R"lua(
local dropped = 0
for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if string.sub(key, 1, #ARGV[1]) == ARGV[1] then
    redis.call('HDEL', KEYS[1], key)
    redis.call('ZREM', KEYS[2], key)
    redis.call('ZREM', KEYS[3], key)
    dropped = dropped + 1
  end
end
return dropped
)lua";

}  // namespace daybook::storage::cursor_scripts
