// From the archive's settings to what an S3 object gets beside its bytes.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"
#include "storage/s3_options.hpp"

namespace daybook::api {

// Of a configuration without broken rules.
[[nodiscard]] storage::S3Options s3_options(const core::Config& config);
// The rules between and inside these settings; one sentence each, appended to `broken`.
void check_s3_options(const core::Config& config, std::vector<std::string>& broken);
// Whether start-up must refuse a store that cannot do what the settings promise.
[[nodiscard]] bool promises_protection(const core::Config& config);

}  // namespace daybook::api
