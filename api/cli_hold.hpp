// `daybook hold`: the legal holds of archived records, asked of a running server.
#pragma once

#include <string>
#include <vector>

#include "api/cli_client.hpp"

namespace daybook::api {

struct HoldOptions {
  enum class Action { set, release, show } action = Action::show;
  ServerAddress server;
  std::vector<std::string> ids;
  std::string reason;    // release
  bool segment = false;  // release: also where other records share the object
  bool json = false;
};
[[nodiscard]] int run_hold(const HoldOptions& options);

}  // namespace daybook::api
