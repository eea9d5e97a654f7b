// Makes the metadata store that metadata.kind names.
#pragma once

#include <memory>

#include "core/config.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/workers.hpp"
#include "io/runtime.hpp"

namespace daybook::api {

// writer and reader have one thread each; an embedded store works on them. All three outlive it.
[[nodiscard]] core::Result<std::unique_ptr<core::MetadataStore>> open_metadata_store(
    const core::Config& config, io::IoRuntime& runtime, core::Workers& writer,
    core::Workers& reader);

}  // namespace daybook::api
