// Rebuilds the metadata store from the object store alone: every object describes itself
// (core/sealed_object.hpp). An object is read whole and checked down to its payload before its row
// is inserted; rows that are there stay as they are. A segment is read whole, and each of its
// records checked like an object.
//
// It may run beside a server: a row is inserted once, whoever comes first, and SQLite puts the
// writers in order. I/O thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/archive_walk.hpp"
#include "core/config.hpp"
#include "core/object_check.hpp"
#include "io/runtime.hpp"

namespace daybook::api {

struct RebuildSummary {
  struct Damaged {
    std::string key;
    std::string detail;
  };
  std::uint64_t objects = 0;   // records' objects that were seen
  std::uint64_t bytes = 0;     // of them
  std::uint64_t inserted = 0;  // rows
  std::uint64_t present = 0;   // objects and slices whose row was there
  std::uint64_t other = 0;     // objects that are no record's
  std::vector<Damaged> damaged;
  double seconds = 0;
};

// An Error: a store could not be used; what was inserted until then stays.
[[nodiscard]] core::Task<core::Result<RebuildSummary>> rebuild_index(const core::Config& config,
                                                                     io::IoRuntime& runtime,
                                                                     bool show_progress);

}  // namespace daybook::api
