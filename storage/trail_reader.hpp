// Reads a folder of trail files (trail.hpp) back, also while a server writes to it. What is no line
// of the trail is counted, never guessed at: a file may end in a torn line after a power cut.
// Blocks; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/digest.hpp"
#include "core/record_id.hpp"
#include "core/result.hpp"

namespace daybook::storage {

enum class TrailFate : std::uint8_t {
  unknown,  // no remark: the node died, or the record is on its way
  stored,   // it became durable
  failed,   // it did not, and its sender got no receipt
};

struct TrailRecord {
  core::Sha256 sha256;  // of the payload
  std::uint64_t size = 0;
  TrailFate fate = TrailFate::unknown;
};

struct TrailContents {
  std::map<core::RecordId, TrailRecord> records;
  std::size_t files = 0;
  std::vector<std::string> torn;     // files whose last line is cut off
  std::vector<std::string> damaged;  // files with other lines that cannot be read
};

// The files in the order in which they were begun, without those last written before `since`. No
// folder: no files.
[[nodiscard]] core::Result<std::vector<std::string>> list_trail(const std::string& dir,
                                                                core::WallTime since);
// The records of one file. Their remarks may stand in `next`, the file behind it; empty: there is
// none. A file has at most 64 MiB, so this holds at most some 600,000 records.
[[nodiscard]] core::Result<TrailContents> read_trail_file(const std::string& file,
                                                          const std::string& next);
// All records of a folder.
[[nodiscard]] core::Result<TrailContents> read_trail(const std::string& dir, core::WallTime since);

}  // namespace daybook::storage
