// Config: every setting, typed, from the rows of config.def. Loading (TOML, environment, flags) is
// api/config_loader; this header is what the rest of the program reads.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/config_tables.hpp"

namespace daybook::core {

using ConfigText = std::string;
using ConfigPath = std::string;
using ConfigSecret = std::string;  // never printed
using ConfigSize = std::uint64_t;  // bytes
using ConfigTime = std::chrono::milliseconds;
using ConfigCount = std::uint64_t;
using ConfigFlag = bool;

// A row `CONFIG(server, listen, Text, …)` is the member `server_listen`.
struct Config {
#define CONFIG(section, name, kind, fallback, min, max, help) Config##kind section##_##name{};
#include "core/config.def"
#undef CONFIG

  // [[poller]], [[subscriber]], [[transform]], in the order of the file.
  std::vector<PollerConfig> pollers;
  std::vector<SubscriberConfig> subscribers;
  std::vector<TransformConfig> transforms;
};

}  // namespace daybook::core
