// Configuration: flags over environment over file over default, each value checked, each with the
// place it came from. Nothing unknown is passed over: an unknown key, section or DAYBOOK_* name is
// an error that names the nearest known one. All problems are reported together.
//
// Secrets come from the environment (DAYBOOK_X), a file the environment names (DAYBOOK_X_FILE), or
// a file the configuration names (`x_file = "…"`); never from TOML text or argv, where they would
// be seen by readers of a repository or of `ps`. They are never printed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"

namespace daybook::api {

struct ConfigSources {
  std::optional<std::string> file;       // TOML
  std::vector<std::string> environment;  // "NAME=value"; names without DAYBOOK_ are passed over
  std::vector<std::string> overrides;    // "section.name=value", as given to --set
};

enum class SettingOrigin { fallback, file, environment, flag };

struct SettingSource {
  SettingOrigin origin = SettingOrigin::fallback;
  std::string where;  // "default", "daybook.toml:3", "DAYBOOK_SERVER_LISTEN", "--set"
};

struct LoadedConfig {
  core::Config config;
  std::vector<SettingSource> sources;  // one per row of settings()
};

// The environment of this process.
[[nodiscard]] std::vector<std::string> process_environment();

// The error's detail has one problem a line. Empty archive.file_dir and metadata.sqlite_file
// become their folders below node.data_dir.
[[nodiscard]] core::Result<LoadedConfig> load_config(const ConfigSources& sources);

// Complete TOML with a comment per setting; loads again to the defaults.
[[nodiscard]] std::string default_config_toml();
// The effective values with their origin as TOML comments; secrets as "(set)" or "(not set)".
[[nodiscard]] std::string effective_config_toml(const LoadedConfig& loaded);
// The same as one JSON object: {"server.listen":{"value":"…","origin":"default"},…}.
[[nodiscard]] std::string effective_config_json(const LoadedConfig& loaded);

// "host:port" or "[v6]:port" -> its parts; nullopt where it is neither.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text);
// 127.0.0.0/8, ::1 and localhost.
[[nodiscard]] bool is_loopback(std::string_view host);

// What no single row can say: which settings need which others (config_rules.cpp). One sentence
// each.
[[nodiscard]] std::vector<std::string> broken_rules(const core::Config& config);

}  // namespace daybook::api
