// Whole local files for the command line: configuration, secrets, payloads. Blocking; the callers
// are command-line tools and start-up. What is larger than the caller's bound is refused.
#pragma once

#include <string>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::api {

struct LocalFile {
  core::ByteVector bytes;
  bool regular = false;
  unsigned mode = 0;  // permission bits
  core::WallTime modified_at{};
};

// Errors: not_found, denied, too_large, invalid_argument (a folder), internal (the disk failed).
[[nodiscard]] core::Result<LocalFile> read_local_file(const std::string& path,
                                                      std::uint64_t bytes_max);
// Everything until the end of an open descriptor (standard input); name is for messages.
[[nodiscard]] core::Result<core::ByteVector> read_descriptor(int descriptor,
                                                             const std::string& name,
                                                             std::uint64_t bytes_max);
// Written beside the target, fsynced and renamed: the target is seen whole or not at all.
[[nodiscard]] core::Result<void> write_local_file(const std::string& path, core::Bytes bytes);

}  // namespace daybook::api
