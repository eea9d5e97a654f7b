// serve: the appliance. The place where concrete types meet.
#pragma once

#include "api/node.hpp"
#include "core/config.hpp"

namespace daybook::api {

// Runs until SIGTERM or SIGINT; returns the exit code. Errors are logged with what to do about
// them.
[[nodiscard]] int serve(const core::Config& config, Role role);

}  // namespace daybook::api
