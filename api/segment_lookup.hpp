// Finds a record in the segments of the archive without the index. I/O thread only.
#pragma once

#include <optional>
#include <string>

#include "core/ports/object_store.hpp"
#include "core/ports/workers.hpp"
#include "core/segment.hpp"

namespace daybook::api {

// The row of the record's slice in the first segment of the folder ("tenant/2026/11/21/04/") that
// has it whole, by key; indexed_at is not set. nullopt: it is in none. Segments whose name excludes
// the id are not read.
[[nodiscard]] core::Task<core::Result<std::optional<core::MetadataRow>>> find_in_segments(
    core::ObjectStore& objects, core::Workers& workers, std::string folder, core::RecordId id,
    core::Deadline deadline);

}  // namespace daybook::api
