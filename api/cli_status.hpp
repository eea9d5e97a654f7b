// `daybook status`: what a running Daybook says about itself, for people.
#pragma once

#include <string>

#include "api/cli_client.hpp"

namespace daybook::api {

struct StatusOptions {
  ServerAddress server;
  bool json = false;  // /v1/status as it is
};
// kExitFailed where the server cannot be reached or is not ready.
[[nodiscard]] int run_status(const StatusOptions& options);

// status: the document of /v1/status; readiness: of /readyz, whose checks are fresher.
[[nodiscard]] std::string render_status(const boost::json::value& status,
                                        const boost::json::value& readiness);

}  // namespace daybook::api
