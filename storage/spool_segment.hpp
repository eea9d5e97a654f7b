// The spool's file format: a segment is a row of records, each beginning at a multiple of 4096
// bytes so that it can be written with O_DIRECT.
//
//   0   "DBSPOOL1"          8 bytes
//   8   u32 length of the JSON | u32 0                          (little-endian)
//   16  u64 length of the stored object
//   24  u64 XXH3 of bytes 8 to 23 and the JSON
//   32  JSON: id, tenant, key, sha256, size, stored_sha256, receipt
//   …   zeros to the next multiple of 4096, then the stored object (core/sealed_object.hpp),
//       then zeros to the next multiple of 4096
//
// Pure: a segment is looked at through a function that reads from it. Any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/digest.hpp"
#include "core/record_id.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::storage::spool {

inline constexpr std::size_t kAlignment = 4096;
inline constexpr std::size_t kHeadBytesMax = 64 * core::KiB;  // key and attributes of a request fit

[[nodiscard]] constexpr std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

struct Head {
  core::RecordId id;
  std::string tenant;
  std::string key;      // of idempotency; empty = none
  core::Sha256 sha256;  // of the payload
  std::uint64_t size = 0;
  std::uint64_t stored_size = 0;
  core::Sha256 stored_sha256;
  std::string receipt;  // complete, as the client got it

  friend bool operator==(const Head&, const Head&) = default;
};

// Padded to a multiple of kAlignment.
[[nodiscard]] std::string encode(const Head& head);
// From bytes that begin with a head; Code::damaged where they do not.
[[nodiscard]] core::Result<Head> decode(core::Bytes bytes);

struct Located {
  Head head;
  std::uint64_t offset = 0;       // of the head in the segment
  std::uint64_t data_offset = 0;  // of the stored object
};

struct Gap {  // bytes that are no record
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct Scan {
  std::vector<Located> records;  // whole by their lengths; the objects' digests are not looked at
  std::vector<Gap> damaged;      // between records
  // Where the last record ends. Bytes behind it are a torn tail: a write that never ended, or
  // zeros.
  std::uint64_t end = 0;
};

// Up to `length` bytes from `offset`; fewer at the end of the segment.
using Read =
    std::function<core::Result<core::ByteVector>(std::uint64_t offset, std::uint64_t length)>;
[[nodiscard]] core::Result<Scan> scan(const Read& read, std::uint64_t segment_bytes);

}  // namespace daybook::storage::spool
