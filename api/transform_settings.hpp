// The [[transform]] tables of the configuration in the form they work with, or what is wrong with
// them.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/transform/transform.hpp"
#include "io/runtime.hpp"

namespace daybook::api {

// One sentence each, beginning with its place in the file. Files and servers are not looked at.
[[nodiscard]] std::vector<std::string> broken_transform_rules(const core::Config& config);

// The configuration's rules are kept. Reads the lookup files; the error names the step whose file
// cannot be used. Blocking: at start-up.
[[nodiscard]] core::Result<core::transform::Transforms> open_transforms(const core::Config& config,
                                                                        io::IoRuntime& runtime,
                                                                        core::Workers& disk);

}  // namespace daybook::api
