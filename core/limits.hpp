// Every bound that is not a setting, each with the sentence that explains it. What an operator may
// choose is in config.def; what the format or safety fixes is here.
#pragma once

#include "core/units.hpp"

namespace daybook::core::limits {

// A body is cut into blocks of this size; each becomes one zstd frame. It is large enough for the
// compressor to find what repeats in audit JSON and small enough for two cores to share one body.
inline constexpr std::size_t kBlockBytes = 1 * MiB;

// One socket read. Larger reads do not move more bytes a second on loopback (measured), and smaller
// ones cost more io_uring round trips.
inline constexpr std::size_t kReadBytes = 256 * KiB;

// The hard ceiling of `ingest.body_bytes_max`: a stored record must fit in one Redis value that
// can be copied in milliseconds, and in one S3 PUT.
inline constexpr std::uint64_t kBodyBytesCeiling = 64 * MiB;

// Sealed blocks of one upload that may wait for a worker; the reader pauses beyond it, so that one
// upload holds at most this many blocks plus the one it fills.
inline constexpr std::size_t kBlocksInFlight = 3;

// Request line and header section together (RFC 9110 section 5.4 leaves the number to us; 431
// above).
inline constexpr std::size_t kHeadBytesMax = 16 * KiB;
inline constexpr std::size_t kHeaderFieldsMax = 128;

// All request heads together, beyond the first 2 KiB of each while it arrives.
inline constexpr std::size_t kHeadsBytesMax = 64 * MiB;
static_assert(kHeadsBytesMax >= 64 * kHeadBytesMax);

// Envelope: attributes are a client's words about the record, not a second payload.
inline constexpr std::size_t kAttributeBytesMax = 1 * KiB;
inline constexpr std::size_t kAttributesMax = 64;
inline constexpr std::size_t kIdempotencyKeyBytesMax = 512;
inline constexpr std::size_t kEnvelopeBytesMax = 256 * KiB;

// How a record came: the door, the address, the agent, the principal and listed headers. A longer
// value is cut.
inline constexpr std::size_t kContextValueBytesMax = 512;
inline constexpr std::size_t kContextHeadersMax = 16;
inline constexpr std::size_t kContextHeaderNameBytesMax = 64;

// The largest window of zstd as a content coding (RFC 9659 section 3).
inline constexpr std::uint64_t kCodingWindowMax = 8 * MiB;

// All payloads of one body that holds many; none of it is in memory for long.
inline constexpr std::uint64_t kBatchBytesMax = 1024 * MiB;

// Records in one body. Their answer is held until the last of them is safe: 0.5 KiB each.
inline constexpr std::size_t kBatchElementsMax = 10'000;
// Of an atomic one: a Redis that takes them answers nobody else meanwhile.
inline constexpr std::size_t kAtomicElementsMax = 1'000;

// The record id carries its partition in 10 bits (record_id.hpp).
inline constexpr std::uint32_t kPartitionsMax = 1024;

// Tables of one kind in the configuration ([[poller]], …), and the steps of one transform: each of
// them is a label of metrics and a task of its own.
inline constexpr std::size_t kConfigTablesMax = 256;
inline constexpr std::size_t kTransformStepsMax = 64;

// Arrays and objects inside one another in JSON that is taken apart; deeper is refused.
inline constexpr std::size_t kJsonDepthMax = 128;

// Records on one page of GET /v1/records.
inline constexpr std::uint32_t kPageRecordsMax = 1000;

// What an early refusal reads and throws away so that a client that is still sending sees it.
inline constexpr std::uint64_t kLingerBytesMax = 16 * MiB;

static_assert(kBodyBytesCeiling % kBlockBytes == 0);
static_assert(kBlockBytes % kReadBytes == 0);

}  // namespace daybook::core::limits
