// A [[poller]] of the configuration in the form it works with, or what is wrong with it.
#pragma once

#include <string>

#include "core/config.hpp"
#include "core/polling/rules.hpp"
#include "core/result.hpp"

namespace daybook::api {

// The error's detail has one problem a line, each beginning with its place in the file.
[[nodiscard]] core::Result<core::polling::PollRules> poll_rules(const core::PollerConfig& config,
                                                                const std::string& default_tenant);

}  // namespace daybook::api
