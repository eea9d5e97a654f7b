// `daybook metadata migrate | status | copy`: the metadata store's schema, and moving to another
// kind of store. Works on the stores by themselves, beside a server or without one.
#pragma once

#include <string>

#include "api/config_loader.hpp"

namespace daybook::api {

struct MetadataOptions {
  std::string kind;  // for migrate and status; empty: metadata.kind
  std::string from, to;
  bool dry_run = false;
  bool json = false;
};

// kExitUsage for wrong settings, kExitUnreachable where a store could not be asked.
[[nodiscard]] int run_metadata_status(const ConfigSources& sources, const MetadataOptions& options);
[[nodiscard]] int run_metadata_migrate(const ConfigSources& sources,
                                       const MetadataOptions& options);
[[nodiscard]] int run_metadata_copy(const ConfigSources& sources, const MetadataOptions& options);

}  // namespace daybook::api
