// `daybook subscribers`: what a running server says about its subscribers, and what it does with
// them on command.
#pragma once

#include <string>
#include <vector>

#include "api/cli_client.hpp"

namespace daybook::api {

struct SubscribersOptions {
  enum class Action { list, show, pause, resume, redrive, drop, test } action = Action::list;
  ServerAddress server;
  std::string name;              // all but list
  std::vector<std::string> ids;  // redrive, drop: of records
  bool all = false;              // redrive
  std::string reason;            // pause, drop
  bool json = false;
};
[[nodiscard]] int run_subscribers(const SubscribersOptions& options);

[[nodiscard]] std::string render_subscribers(const boost::json::value& answer, std::size_t width);
[[nodiscard]] std::string render_subscriber(const boost::json::value& subscriber);

}  // namespace daybook::api
