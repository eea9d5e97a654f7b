// A [[poller]] of the configuration in the form it works with, or what is wrong with it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/config.hpp"
#include "core/polling/rules.hpp"
#include "core/result.hpp"

namespace daybook::api {

// The error's detail has one problem a line, each beginning with its place in the file.
[[nodiscard]] core::Result<core::polling::PollRules> poll_rules(const core::PollerConfig& config,
                                                                const std::string& default_tenant);

// What is wrong with header fields that are to be sent: the field (headers, header_files) and a
// sentence's rest, each.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> broken_headers(
    const core::FieldTable& headers, const core::FieldSecretFiles& files);

}  // namespace daybook::api
