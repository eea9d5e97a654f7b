// Goes through every object of an archive, several at a time, in pages by key: for commands that
// read it all. I/O thread only.
#pragma once

#include <functional>
#include <string>

#include "core/config.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/runtime.hpp"

namespace daybook::api {

// What the keys of the archive's records begin with.
[[nodiscard]] std::string archive_key_prefix(const core::Config& config);

// Calls visit for each object; `together` visits run side by side. The first Error ends the walk
// and is returned when the visits under way have ended.
using VisitObject = std::function<core::Task<core::Result<void>>(core::ListedObject)>;
[[nodiscard]] core::Task<core::Result<void>> walk_archive(core::Runtime& runtime,
                                                          core::ObjectStore& objects,
                                                          std::string prefix, std::size_t together,
                                                          VisitObject visit);

struct ArchiveTotals {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
};
[[nodiscard]] core::Task<core::Result<ArchiveTotals>> count_archive(core::Runtime& runtime,
                                                                    core::ObjectStore& objects,
                                                                    std::string prefix);

}  // namespace daybook::api
