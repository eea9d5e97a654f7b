// A record's object in the archive: how it is put there, for whoever archives.
#pragma once

#include <string>

#include "core/pipeline/stage.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/workers.hpp"

namespace daybook::core::pipeline {

// Puts the stored form that passage.head and passage.stored_… tell of under the record's key. What
// an earlier attempt has put there stays, with whatever attributes a transform gave it then: where
// it has the same record's id, tenant and payload, the passage tells of that object from here on.
// Sets passage.object_key and passage.object. stored outlives the call. Any other object under the
// key is Code::conflict, Retry::never.
Task<Result<void>> put_object(ObjectStore& store, Workers& workers, Passage& passage, Slices stored,
                              std::string prefix, Deadline deadline);

// The zstd frames of a stored form; empty where its envelope does not fit its bytes.
[[nodiscard]] Slices frames_of(const Slices& stored, const OpenedHead& head);

}  // namespace daybook::core::pipeline
