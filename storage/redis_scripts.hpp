// The atomic steps of the buffer, as Lua for Redis >= 6.2. Only small arguments pass through them:
// payload bytes are written by a plain SET in the same MULTI (design: big bytes never pass Lua).
//
// One partition p lives under the hash tag {<prefix>:p}:
//   :wal          stream, one small entry per pending record: id, size, sha256 (of the stored
//   bytes) :record:<id>  the stored bytes :pending      hash id -> position in :wal :parked hash id
//   -> JSON of the parked record :counters     hash accepted, released, bytes (stored bytes of what
//   is pending or parked) :key:<hash>   hash state, id, node, run, digest, receipt: one
//   idempotency key
#pragma once

#include <string_view>

namespace daybook::storage::scripts {

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
inline constexpr std::string_view kAppend = R"lua(
local position = redis.call('GET', KEYS[6])
if position then
  if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 0 and redis.call('HEXISTS', KEYS[5], ARGV[1]) == 0 then
    redis.call('UNLINK', KEYS[1])
  end
  return {'appended', position}
end
if KEYS[7] then
  local owner = redis.call('HGET', KEYS[7], 'id')
  if owner and owner ~= ARGV[1] then
    redis.call('UNLINK', KEYS[1])
    return {'taken'}
  end
end
position = redis.call('XADD', KEYS[2], '*', 'id', ARGV[1], 'size', ARGV[2], 'sha256', ARGV[3])
redis.call('HSET', KEYS[3], ARGV[1], position)
redis.call('SET', KEYS[6], position, 'PX', ARGV[7])
redis.call('HINCRBY', KEYS[4], 'accepted', 1)
redis.call('HINCRBY', KEYS[4], 'bytes', ARGV[2])
if KEYS[7] then
  redis.call('HDEL', KEYS[7], 'node', 'run')
  local receipt = ARGV[4]
  if string.sub(receipt, -1) ~= '}' then receipt = receipt .. ',"position":"' .. position .. '"}' end
  redis.call('HSET', KEYS[7], 'state', 'settled', 'id', ARGV[1], 'digest', ARGV[5], 'receipt', receipt)
  redis.call('PEXPIRE', KEYS[7], ARGV[6])
end
return {'appended', position}
)lua";

// KEYS: wal, pending, counters, then one record key per entry.
// ARGV: group, then id, position, size per entry.
inline constexpr std::string_view kRelease = R"lua(
for i = 4, #KEYS do
  local at = (i - 4) * 3 + 2
  local id, position, size = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  redis.call('XACK', KEYS[1], ARGV[1], position)
  redis.call('XDEL', KEYS[1], position)
  if redis.call('HDEL', KEYS[2], id) == 1 then
    redis.call('UNLINK', KEYS[i])
    redis.call('HINCRBY', KEYS[3], 'released', 1)
    redis.call('HINCRBY', KEYS[3], 'bytes', -tonumber(size))
  end
end
return #KEYS - 3
)lua";

// KEYS: wal, pending, parked. ARGV: group, id, position, JSON.
inline constexpr std::string_view kPark = R"lua(
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
if redis.call('HDEL', KEYS[2], ARGV[2]) == 1 then
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
end
return 1
)lua";

// KEYS: wal, pending, parked. ARGV: id, size, sha256. -> 1 when the record was parked
inline constexpr std::string_view kUnpark = R"lua(
if redis.call('HDEL', KEYS[3], ARGV[1]) == 0 then return 0 end
local position = redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'size', ARGV[2], 'sha256', ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], position)
return 1
)lua";

// KEYS: wal, parked, counters. -> accepted, released, pending, parked, bytes, position of the
// oldest
inline constexpr std::string_view kStats = R"lua(
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
return {redis.call('HGET', KEYS[3], 'accepted') or '0', redis.call('HGET', KEYS[3], 'released') or '0',
        tostring(redis.call('XLEN', KEYS[1])), tostring(redis.call('HLEN', KEYS[2])),
        redis.call('HGET', KEYS[3], 'bytes') or '0', oldest[1] and oldest[1][1] or ''}
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
