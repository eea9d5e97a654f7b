// What `daybook size` counts with. Every number was measured; the comment says where it stands.
//
// SC  = bench/results/size_constants.jsonl, by bench/size_constants (bytes: any machine gives them)
// The speeds are of 2 cores of an Intel Xeon with SHA-NI that clients and Redis shared; measure
// yours with the command named and scale what depends on them.
#pragma once

#include <cstdint>

namespace daybook::api::size_constants {

// Stored record beyond its compressed payload: envelope, seek table; each block adds 24 B.
// SC size_buffered, sealed_overhead 548 to 624.
inline constexpr double kSealedBytes = 550;
inline constexpr double kSealedBytesABlock = 50;

// used_memory of Redis for one waiting record: stored bytes in the allocator's size classes, and
// its stream entry, pending entry and key. SC size_buffered: redis - redis_after_release.
inline constexpr double kRedisRounding = 1.11;
inline constexpr double kRedisEntryBytes = 430;
// The account of a parked record (an outage of a minute parks records), beyond the entry that it
// replaces. SC size_parked.
inline constexpr double kRedisParkedBytes = 240;
// One idempotency key, with its receipt. SC size_buffered, size 1000: redis_after_release.
inline constexpr double kRedisKeyBytes = 1000;
// An empty Redis with Daybook's connections and scripts: used_memory 1.3 to 2.0 MB.
inline constexpr double kRedisBaseBytes = 2e6;

// Append-only file beyond the stored bytes: the append, then reading and release. SC
// size_buffered: aof - stored, aof_release.
inline constexpr double kAofAppendBytes = 1850;
inline constexpr double kAofReleaseBytes = 700;
// SC size_parked: aof - stored, less an append without a key (690).
inline constexpr double kAofParkBytes = 1120;

// One row with its five indices, and its line of the feed with two (260 bytes more than without, by
// 20,000 rows in a file of each version). SC size_buffered: row.
inline constexpr double kRowBytes = 1340;
inline constexpr double kRowBytesABlock = 50;
// Two lines of the trail. SC size_buffered: trail.
inline constexpr double kTrailBytes = 158;
// The spool's head and padding, beyond the stored bytes. SC size_spooled.
inline constexpr double kSpoolBytes = 6200;

// CPU of Daybook and Redis, a GB (10^9 bytes) of payload: peers.jsonl, server_cpu_s_per_gb of
// daybook (archive in a folder) and daybook-s3. It contains the part of each record of 4 MiB.
inline constexpr double kCpuSecondsAGbFile = 1.92;
inline constexpr double kCpuSecondsAGbS3 = 2.54;
// CPU of one small record, the rest apart: scale.jsonl, scale_connections, daybook_cpu_ms and
// redis_cpu_ms at 10 and more connections.
inline constexpr double kCpuSecondsARecord = 0.48e-3;
inline constexpr double kRedisCpuSecondsARecord = 0.0925e-3;

// Small records a second that one node acknowledged: scale.jsonl, scale_parked, lowest
// records_per_s with nothing else going on.
inline constexpr double kRecordsASecondOfANode = 1900;
// Bytes a second that one Redis wrote and fsynced: peers.jsonl, redis-set (README: 264 MB/s).
inline constexpr double kRedisBytesASecond = 264e6;
// Bytes a second of a rewrite beside appends, when the machine had eight times the work it could
// do. What it copied was 1.6% of what was appended meanwhile. SC size_rewrite: held / seconds,
// copied.
inline constexpr double kRewriteBytesASecond = 33e6;
// Small records a second from buffer to released: scale.jsonl, scale_backlog, lowest of drain.
inline constexpr double kDrainRecordsASecond = 1796;
// Payload a second from buffer to released: drain.jsonl, file 2579 MB/s, radosgw 557 MB/s.
inline constexpr double kDrainBytesASecondFile = 2579e6;
inline constexpr double kDrainBytesASecondS3 = 557e6;

// How full anything may be planned: the rest is for bursts and for what was not measured.
inline constexpr double kFullShare = 0.7;

}  // namespace daybook::api::size_constants
