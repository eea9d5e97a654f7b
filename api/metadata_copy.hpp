// Copies all rows of one metadata store into another while a server may go on writing to the first;
// may be repeated and broken off at any time.
//
//   1. every row, page by page; rows that the target has stay as they are
//   2. both stores side by side: what came meanwhile is copied too, what differs is named
//   3. the rows of step 2 once more, one by one
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "core/ports/runtime.hpp"

namespace daybook::api {

struct CopyReport {
  std::uint64_t rows = 0;   // of the source, seen in step 2
  std::uint64_t equal = 0;  // in both, those of step 3 among them
  std::uint64_t late = 0;   // came while step 1 ran: copied in step 2, looked at in step 3
  // The same record with the same content, but indexed there by somebody else (at another time,
  // after another number of attempts).
  std::uint64_t separately = 0;
  std::uint64_t only_in_target = 0;
  std::uint64_t different_count = 0;
  struct Different {
    std::string id, in;
  };
  std::vector<Different> different;  // the first hundred; their rows in the target are untouched
  double seconds = 0;
};

// Called now and then: the step (1 to 3), and the rows done in it.
using CopyProgress = std::function<void(int step, std::uint64_t rows)>;

// Store errors that may pass are waited out for half a minute. Both stores outlive the task.
[[nodiscard]] core::Task<core::Result<CopyReport>> copy_metadata(core::Runtime& runtime,
                                                                 core::MetadataStore& from,
                                                                 core::MetadataStore& to,
                                                                 CopyProgress progress);

}  // namespace daybook::api
