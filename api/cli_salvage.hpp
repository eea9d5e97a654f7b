// `daybook salvage`: what was refused after its body had arrived, looked at, posted again, dropped.
// It works on the files of node.data_dir; only `post` asks a server.
#pragma once

#include <string>
#include <vector>

#include "api/cli_client.hpp"
#include "api/config_loader.hpp"

namespace daybook::api {

struct SalvageOptions {
  enum class Action { list, show, post, drop } action = Action::list;
  ConfigSources sources;
  ServerAddress server;          // post
  std::vector<std::string> ids;  // one for show and drop
  std::string reason;            // drop
  bool all = false;              // post
  bool yes = false;              // drop: do not ask
  bool json = false;
};
[[nodiscard]] int run_salvage(const SalvageOptions& options);

}  // namespace daybook::api
