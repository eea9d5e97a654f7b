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

// After the SET of each record, in the same MULTI. KEYS: wal, pending, counters, parked, then
// record and appended of each, then the key or nothing. ARGV: how many, payload digest, window ms,
// marker ms, whether they are a batch (1: the receipt is the array of theirs), then id, stored
// size, stored sha256 and receipt head of each.
// -> {'appended', position of each} | {'taken'} (another request settled the key first; nothing is
// kept)
// A receipt that ends with '}' is complete: its client has it already (spool).
// A repetition of an append finds the marker; its SET wrote the same bytes again, which go only
// where the record has been released meanwhile.
// Neither EXEC nor Lua takes anything back, so whatever can fail comes before the first lasting
// write, and a failure takes the bytes of SET along: no bytes stay without an entry.
inline constexpr std::string_view kAppend = R"lua(
local n, together = tonumber(ARGV[1]), ARGV[5] == '1'
local key = KEYS[2 * n + 5]
local function record(i) return KEYS[2 * i + 3] end
local function marker(i) return KEYS[2 * i + 4] end
local function id(i) return ARGV[4 * i + 2] end
local function refuse(why)
  for i = 1, n do redis.call('UNLINK', record(i)) end
  return why
end
local function failed(reply) return type(reply) == 'table' and reply.err end
local answer = {'appended'}
local pending = redis.pcall('HEXISTS', KEYS[2], id(1))
local parked = redis.pcall('HEXISTS', KEYS[4], id(1))
if redis.call('EXISTS', marker(1)) == 1 then
  for i = 1, n do
    if redis.pcall('HEXISTS', KEYS[2], id(i)) == 0 and redis.pcall('HEXISTS', KEYS[4], id(i)) == 0 then
      redis.call('UNLINK', record(i))
    end
    answer[i + 1] = redis.call('GET', marker(i))
  end
  return answer
end
if failed(pending) then return refuse(pending) end
if failed(parked) then return refuse(parked) end
if key then
  local owner = redis.pcall('HGET', key, 'id')
  if failed(owner) then return refuse(owner) end
  if owner and owner ~= id(1) then return refuse({'taken'}) end
end
local size = 0
for i = 1, n do size = size + tonumber(ARGV[4 * i + 3]) end
local accepted = redis.pcall('HINCRBY', KEYS[3], 'accepted', n)
if failed(accepted) then return refuse(accepted) end
local bytes = redis.pcall('HINCRBY', KEYS[3], 'bytes', size)
if failed(bytes) then
  redis.call('HINCRBY', KEYS[3], 'accepted', -n)
  return refuse(bytes)
end
for i = 1, n do
  local position = redis.pcall('XADD', KEYS[1], '*', 'id', id(i), 'size', ARGV[4 * i + 3],
                               'sha256', ARGV[4 * i + 4])
  if failed(position) then
    for back = 1, i - 1 do redis.call('XDEL', KEYS[1], answer[back + 1]) end
    redis.call('HINCRBY', KEYS[3], 'accepted', -n)
    redis.call('HINCRBY', KEYS[3], 'bytes', -size)
    return refuse(position)
  end
  answer[i + 1] = position
end
local receipts = {}
for i = 1, n do
  local position, receipt = answer[i + 1], ARGV[4 * i + 5]
  redis.call('HSET', KEYS[2], id(i), position)
  redis.call('SET', marker(i), position, 'PX', ARGV[4])
  if string.sub(receipt, -1) ~= '}' then receipt = receipt .. ',"position":"' .. position .. '"}' end
  receipts[i] = receipt
end
if key then
  local receipt = table.concat(receipts, ',')
  if together then receipt = '[' .. receipt .. ']' end
  redis.call('HDEL', key, 'node', 'run')
  redis.call('HSET', key, 'state', 'settled', 'id', id(1), 'digest', ARGV[2], 'receipt', receipt)
  redis.call('PEXPIRE', key, ARGV[3])
end
return answer
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
