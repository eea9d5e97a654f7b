// Makes the object store that archive.kind names. clean_up: a file store removes what dead writers
// left behind.
#pragma once

#include <memory>

#include "api/aws_setup.hpp"
#include "core/config.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/workers.hpp"
#include "io/runtime.hpp"

namespace daybook::api {

[[nodiscard]] core::Result<std::unique_ptr<core::ObjectStore>> open_object_store(
    const core::Config& config, io::IoRuntime& runtime, core::Workers& disk_workers,
    bool clean_up = true, AwsEvents events = {});

}  // namespace daybook::api
