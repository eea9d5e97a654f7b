// `daybook config`: shows and checks the configuration.
#pragma once

#include "api/config_loader.hpp"

namespace daybook::api {

struct ConfigOptions {
  enum class Action { show, defaults, check } action = Action::show;
  ConfigSources sources;
  bool json = false;
};
// kExitFailed where the configuration is wrong.
[[nodiscard]] int run_config(const ConfigOptions& options);

}  // namespace daybook::api
