// `daybook fsck` and `daybook rebuild-index`: the two commands that look at the stores themselves
// instead of asking a server.
#pragma once

#include <string>

#include "api/config_loader.hpp"
#include "api/fsck.hpp"
#include "api/rebuild_index.hpp"

namespace daybook::api {

// Beside the codes of cli_output.hpp: a store could not be looked at.
inline constexpr int kExitUnreachable = 3;

[[nodiscard]] std::string render_fsck(const FsckReport& report);
[[nodiscard]] std::string fsck_json(const FsckReport& report);
[[nodiscard]] std::string render_rebuild(const RebuildSummary& summary);
[[nodiscard]] std::string rebuild_json(const RebuildSummary& summary);

[[nodiscard]] int run_fsck(const ConfigSources& sources, FsckOptions options, bool json);
[[nodiscard]] int run_rebuild_index(const ConfigSources& sources, bool json);

}  // namespace daybook::api
