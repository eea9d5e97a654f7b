// Makes the metadata store that metadata.kind names, and what belongs to its schema.
#pragma once

#include <memory>

#include "core/config.hpp"
#include "core/ports/metadata_schema.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/workers.hpp"
#include "io/runtime.hpp"
#include "storage/postgres_settings.hpp"

namespace daybook::api {

// writer and reader have one thread each; an embedded store works on them. All three outlive it.
[[nodiscard]] core::Result<std::unique_ptr<core::MetadataStore>> open_metadata_store(
    const core::Config& config, io::IoRuntime& runtime, core::Workers& writer,
    core::Workers& reader);

// The schema of that store. worker: one thread, for an embedded store; both outlive it.
[[nodiscard]] core::Result<std::unique_ptr<core::MetadataSchema>> open_metadata_schema(
    const core::Config& config, io::IoRuntime& runtime, core::Workers& worker);

// metadata.postgresql_* for the adapter. The URL has passed the configuration's rules.
[[nodiscard]] storage::PostgresSettings postgres_settings(const core::Config& config);

// For start-up, blocking for seconds at most. Refused is a schema that is not this program's:
// waiting would not mend it. A store that is away or denies access is only logged; what is
// acknowledged meanwhile waits in the buffer. An embedded store says all that when it is opened,
// and DynamoDB's looks at its table while it serves: /readyz names what is wrong with it.
[[nodiscard]] core::Result<void> check_metadata_schema(const core::Config& config);

}  // namespace daybook::api
