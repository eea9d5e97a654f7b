// The atomic steps of the buffer, as Lua for Redis >= 6.2. Only small arguments pass through them:
// payload bytes are written by a plain SET in the same MULTI (design: big bytes never pass Lua).
//
// One partition p lives under the hash tag {<prefix>:p}:
// - :wal           stream, one small entry per pending record: id, size, sha256 of the stored bytes
// - :record:<id>   the stored bytes
// - :pending       hash id -> position in :wal
// - :starts        hash id -> how often a pending entry was started; 1 where there is no field
// - :parked        hash id -> JSON of the parked record
// - :parked_since  sorted set of the parked ids by the time in ms, for the age of the oldest only
// - :dropped       hash id -> JSON, the account of a parked record that was thrown away; kept
// - :counters      hash accepted, released, dropped, bytes (stored, of what is pending or parked)
// - :key:<hash>    hash state, id, node, run, digest, receipt: one idempotency key
// - :replicated    written before a WAIT that is to speak for all earlier writes
#pragma once

#include <string_view>

namespace daybook::storage::scripts {

inline constexpr std::string_view kGroup = "pipeline";  // the consumer group

// KEYS: key. ARGV: id, lease ms, node, run. -> {'reserved'} | {'in_flight'} | {'settled', digest,
// receipt} A reservation of an earlier run of the same node is nobody's any more.
inline constexpr std::string_view kReserve = R"lua(
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'settled' then
  return {'settled', redis.call('HGET', KEYS[1], 'digest'), redis.call('HGET', KEYS[1], 'receipt')}
end
if state and redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  local owner = redis.call('HMGET', KEYS[1], 'node', 'run')
  if owner[1] ~= ARGV[3] or owner[2] == ARGV[4] then return {'in_flight'} end
end
redis.call('HSET', KEYS[1], 'state', 'reserved', 'id', ARGV[1], 'node', ARGV[3], 'run', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'reserved'}
)lua";

// KEYS: key. ARGV: id.
inline constexpr std::string_view kAbandon = R"lua(
if redis.call('HGET', KEYS[1], 'state') == 'reserved' and
   redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
)lua";

// After SET record, in the same MULTI. KEYS: record, wal, pending, counters, parked, appended [,
// key]. ARGV: id, stored size, stored sha256, receipt head, payload digest, window ms, marker ms.
// -> {'appended', position} | {'taken'} (another request settled the key first; nothing is kept)
// A receipt that ends with '}' is complete: its client has it already (spool).
// A repetition of an append finds the marker; its SET wrote the same bytes again, which go only
// where the record has been released meanwhile.
// Neither EXEC nor Lua takes anything back, so whatever can fail comes before the first lasting
// write, and a failure takes the bytes of SET along: no bytes stay without an entry.
inline constexpr std::string_view kAppend = R"lua(
local function refuse(why)
  redis.call('UNLINK', KEYS[1])
  return why
end
local function failed(reply) return type(reply) == 'table' and reply.err end
local position = redis.call('GET', KEYS[6])
local pending = redis.pcall('HEXISTS', KEYS[3], ARGV[1])
local parked = redis.pcall('HEXISTS', KEYS[5], ARGV[1])
if position then
  if pending == 0 and parked == 0 then redis.call('UNLINK', KEYS[1]) end
  return {'appended', position}
end
if failed(pending) then return refuse(pending) end
if failed(parked) then return refuse(parked) end
if KEYS[7] then
  local owner = redis.pcall('HGET', KEYS[7], 'id')
  if failed(owner) then return refuse(owner) end
  if owner and owner ~= ARGV[1] then return refuse({'taken'}) end
end
local accepted = redis.pcall('HINCRBY', KEYS[4], 'accepted', 1)
if failed(accepted) then return refuse(accepted) end
local bytes = redis.pcall('HINCRBY', KEYS[4], 'bytes', ARGV[2])
if failed(bytes) then
  redis.call('HINCRBY', KEYS[4], 'accepted', -1)
  return refuse(bytes)
end
position = redis.pcall('XADD', KEYS[2], '*', 'id', ARGV[1], 'size', ARGV[2], 'sha256', ARGV[3])
if failed(position) then
  redis.call('HINCRBY', KEYS[4], 'accepted', -1)
  redis.call('HINCRBY', KEYS[4], 'bytes', -tonumber(ARGV[2]))
  return refuse(position)
end
redis.call('HSET', KEYS[3], ARGV[1], position)
redis.call('SET', KEYS[6], position, 'PX', ARGV[7])
if KEYS[7] then
  redis.call('HDEL', KEYS[7], 'node', 'run')
  local receipt = ARGV[4]
  if string.sub(receipt, -1) ~= '}' then receipt = receipt .. ',"position":"' .. position .. '"}' end
  redis.call('HSET', KEYS[7], 'state', 'settled', 'id', ARGV[1], 'digest', ARGV[5], 'receipt', receipt)
  redis.call('PEXPIRE', KEYS[7], ARGV[6])
end
return {'appended', position}
)lua";

// KEYS: wal, pending, counters, starts, then one record key per entry.
// ARGV: group, then id, position, size per entry.
inline constexpr std::string_view kRelease = R"lua(
for i = 5, #KEYS do
  local at = (i - 5) * 3 + 2
  local id, position, size = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  redis.call('XACK', KEYS[1], ARGV[1], position)
  redis.call('XDEL', KEYS[1], position)
  if redis.call('HDEL', KEYS[2], id) == 1 then
    redis.call('UNLINK', KEYS[i])
    redis.call('HDEL', KEYS[4], id)
    redis.call('HINCRBY', KEYS[3], 'released', 1)
    redis.call('HINCRBY', KEYS[3], 'bytes', -tonumber(size))
  end
end
return #KEYS - 4
)lua";

// KEYS: pending, starts. ARGV: id, starts per entry. Nothing is noted of what is not pending.
inline constexpr std::string_view kNoteStarts = R"lua(
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '1' or redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    redis.call('HDEL', KEYS[2], ARGV[i])
  else
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end
return 1
)lua";

// KEYS: wal, pending, parked, starts, parked_since. ARGV: group, id, position, JSON, time in ms.
inline constexpr std::string_view kPark = R"lua(
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
if redis.call('HDEL', KEYS[2], ARGV[2]) == 1 then
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
  redis.call('ZADD', KEYS[5], ARGV[5], ARGV[2])
end
redis.call('HDEL', KEYS[4], ARGV[2])
return 1
)lua";

// KEYS: wal, pending, parked, parked_since. ARGV: id, size, sha256. -> 1 when the record was parked
inline constexpr std::string_view kUnpark = R"lua(
if redis.call('HDEL', KEYS[3], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[4], ARGV[1])
local position = redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'size', ARGV[2], 'sha256', ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], position)
return 1
)lua";

// KEYS: record, parked, parked_since, counters, dropped. ARGV: id, stored size, JSON.
// -> 1 when the record was parked, or this is a repetition
inline constexpr std::string_view kDrop = R"lua(
if redis.call('HDEL', KEYS[2], ARGV[1]) == 0 then
  return redis.call('HGET', KEYS[5], ARGV[1]) == ARGV[3] and 1 or 0
end
redis.call('HSET', KEYS[5], ARGV[1], ARGV[3])
redis.call('HINCRBY', KEYS[4], 'dropped', 1)
redis.call('HINCRBY', KEYS[4], 'bytes', -tonumber(ARGV[2]))
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('UNLINK', KEYS[1])
return 1
)lua";

// KEYS: wal, parked, counters, parked_since. -> accepted, released, pending, parked, bytes,
// position of the oldest, dropped, time of the oldest parked
inline constexpr std::string_view kStats = R"lua(
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local parked = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
return {redis.call('HGET', KEYS[3], 'accepted') or '0', redis.call('HGET', KEYS[3], 'released') or '0',
        tostring(redis.call('XLEN', KEYS[1])), tostring(redis.call('HLEN', KEYS[2])),
        redis.call('HGET', KEYS[3], 'bytes') or '0', oldest[1] and oldest[1][1] or '',
        redis.call('HGET', KEYS[3], 'dropped') or '0', parked[2] or ''}
)lua";

// The two repairs of a check, for bytes without an entry.
// KEYS: record, pending, parked. ARGV: id. -> 1 when the bytes were deleted
inline constexpr std::string_view kDropBytes = R"lua(
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 or redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then
  return 0
end
return redis.call('UNLINK', KEYS[1])
)lua";

// KEYS: record, wal, pending, parked. ARGV: id, size, sha256. -> 1 when it is pending again
inline constexpr std::string_view kRestoreEntry = R"lua(
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 or redis.call('HEXISTS', KEYS[4], ARGV[1]) == 1 or
   redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local position = redis.call('XADD', KEYS[2], '*', 'id', ARGV[1], 'size', ARGV[2], 'sha256', ARGV[3])
redis.call('HSET', KEYS[3], ARGV[1], position)
return 1
)lua";

}  // namespace daybook::storage::scripts
