#include "api/cli_config.hpp"

#include "api/cli_output.hpp"

namespace daybook::api {

int run_config(const ConfigOptions& options) {
  if (options.action == ConfigOptions::Action::defaults) {
    print(default_config_toml());
    return kExitOk;
  }
  const auto loaded = load_config(options.sources);
  if (!loaded) {
    print_error("The configuration is wrong:\n" + loaded.error().detail + "\n");
    return kExitFailed;
  }
  if (options.action == ConfigOptions::Action::check) {
    print("The configuration is valid. daybook doctor tells whether what it names works.\n");
    return kExitOk;
  }
  print(options.json ? effective_config_json(*loaded) + "\n" : effective_config_toml(*loaded));
  return kExitOk;
}

}  // namespace daybook::api
