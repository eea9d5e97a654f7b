// `daybook pollers`: the sources that a running server polls, and where it stands in them.
#pragma once

#include <string>

#include "api/cli_client.hpp"

namespace daybook::api {

struct PollersOptions {
  enum class Action { list, reset } action = Action::list;
  ServerAddress server;
  std::string name;    // reset
  std::string cursor;  // reset; empty: from the start
  bool json = false;
};
[[nodiscard]] int run_pollers(const PollersOptions& options);

}  // namespace daybook::api
