#include "api/config_loader.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <toml++/toml.h>

#include "api/config_settings.hpp"
#include "api/config_tables.hpp"
#include "api/local_file.hpp"
#include "core/text.hpp"

extern char** environ;  // POSIX: the one place where a process finds its environment

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

// DAYBOOK_* names that are not settings: for clients, for `serve` itself, and for the tests.
constexpr std::array<std::string_view, 4> kOtherEnvironmentNames = {
    "DAYBOOK_URL", "DAYBOOK_CONFIG", "DAYBOOK_SHARED", "DAYBOOK_SOURCE_DIR"};

constexpr std::string_view kFileSuffix = "_file";
constexpr std::size_t kConfigFileBytesMax = 1 * core::MiB;

core::Failure refuse(std::string detail) {
  return core::fail(Code::invalid_argument, Origin::self, Retry::never, std::move(detail));
}

// A setting, or for a secret the key that names its file.
struct Target {
  const Setting* setting = nullptr;
  bool secret_file = false;
};

Target find_target(std::string_view section, std::string_view key) {
  if (const Setting* setting = find_setting(section, key)) return {setting, false};
  if (!key.ends_with(kFileSuffix)) return {};
  const Setting* setting = find_setting(section, key.substr(0, key.size() - kFileSuffix.size()));
  if (setting == nullptr || setting->kind != SettingKind::kSecret) return {};
  return {setting, true};
}

// Collects values in the order of precedence, lowest first, and every problem on the way.
class Loader {
 public:
  Loader() {
    loaded_.sources.assign(settings().size(), {SettingOrigin::fallback, "default"});
    for (const Setting& setting : settings()) {
      auto value = parse_setting(setting, setting.fallback);
      if (value) {
        setting.set(loaded_.config, *value);
      } else {
        problems_.push_back("Default: " + value.error().detail);  // a wrong row of config.def
      }
    }
  }

  void read_file(const std::string& path);
  void read_environment(const std::vector<std::string>& environment);
  void read_override(const std::string& text);
  Result<LoadedConfig> finish();

 private:
  void read_section(const std::string& file, std::string_view section, const toml::table& table);
  void read_node(const std::string& where, Target target, const toml::node& node);
  void assign(const Setting& setting, std::string_view text, SettingSource source);
  void assign_secret_file(const Setting& setting, const std::string& path, SettingSource source);
  void assign_value(const Setting& setting, const SettingValue& value, SettingSource source);
  void problem(const std::string& where, const std::string& what) {
    problems_.push_back(where + ": " + what);
  }

  LoadedConfig loaded_;
  std::vector<std::string> problems_;
};

void Loader::assign_value(const Setting& setting, const SettingValue& value, SettingSource source) {
  setting.set(loaded_.config, value);
  loaded_.sources[static_cast<std::size_t>(&setting - settings().data())] = std::move(source);
}

void Loader::assign(const Setting& setting, std::string_view text, SettingSource source) {
  auto value = parse_setting(setting, text);
  if (!value) return problem(source.where, value.error().detail);
  if (setting.kind == SettingKind::kSecret &&
      std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
    return problem(source.where, setting.full_name() + " has a line break or control character.");
  }
  assign_value(setting, *value, std::move(source));
}

void Loader::assign_secret_file(const Setting& setting, const std::string& path,
                                SettingSource source) {
  auto text = read_secret_file(path);
  if (!text) return problem(source.where, text.error().detail);
  assign(setting, *text, std::move(source));
}

void Loader::read_file(const std::string& path) {
  auto file = read_local_file(path, kConfigFileBytesMax);
  if (!file) return problem("Configuration", file.error().detail);
  toml::table document;
  try {
    document = toml::parse(core::as_text(file->bytes), path);
  } catch (const toml::parse_error& error) {
    return problem(path + ":" + std::to_string(error.source().begin.line),
                   "this is not TOML: " + std::string(error.description()));
  }
  std::vector<std::string_view> sections;
  for (const Setting& setting : settings()) {
    if (sections.empty() || sections.back() != setting.section) sections.push_back(setting.section);
  }
  for (const auto& [key, node] : document) {
    const std::string where = path + ":" + std::to_string(node.source().begin.line);
    const toml::table* table = node.as_table();
    const std::string name(key.str());
    if (std::ranges::find(table_names(), name) != table_names().end()) {
      read_tables(name, path, node, loaded_.config, problems_);
    } else if (node.is_array_of_tables()) {
      const std::string near = core::nearest_word(name, table_names());
      problem(where, "there is no table [[" + name + "]]." +
                         (near.empty() ? "" : " Did you mean [[" + near + "]]?"));
    } else if (table == nullptr) {
      const std::string near = nearest_setting("", name);
      problem(where, name + " stands outside of every [section]." +
                         (near.empty() ? "" : " Did you mean " + near + "?"));
    } else if (std::ranges::find(sections, name) == sections.end()) {
      const std::string near = core::nearest_word(name, sections);
      problem(where, "there is no section [" + name + "]." +
                         (near.empty() ? "" : " Did you mean [" + near + "]?"));
    } else {
      read_section(path, name, *table);
    }
  }
}

void Loader::read_section(const std::string& file, std::string_view section,
                          const toml::table& table) {
  for (const auto& [key, node] : table) {
    const std::string where = file + ":" + std::to_string(key.source().begin.line);
    const Target target = find_target(section, key.str());
    if (target.setting == nullptr) {
      const std::string near = nearest_setting(section, key.str());
      problem(where, "there is no setting " + std::string(section) + "." + std::string(key.str()) +
                         "." + (near.empty() ? "" : " Did you mean " + near + "?"));
      continue;
    }
    read_node(where, target, node);
  }
}

void Loader::read_node(const std::string& where, Target target, const toml::node& node) {
  const Setting& setting = *target.setting;
  const SettingSource source{SettingOrigin::file, where};
  if (target.secret_file) {
    if (const auto path = node.value_exact<std::string>()) {
      return assign_secret_file(setting, *path, source);
    }
    return problem(where, setting.full_name() + "_file is a path in quotes.");
  }
  if (setting.kind == SettingKind::kSecret) {
    return problem(where, setting.full_name() +
                              " is a secret and must not stand in a configuration file, which is "
                              "copied and read by others. Write " +
                              std::string(setting.name) + "_file = \"PATH\", or set " +
                              setting.environment_name() + ".");
  }
  if (const auto text = node.value_exact<std::string>()) return assign(setting, *text, source);
  const auto number = node.value_exact<std::int64_t>();
  if (number && setting.kind == SettingKind::kTime) {
    return problem(where, setting.full_name() + " = " + std::to_string(*number) +
                              " has no unit: write for example \"" + std::to_string(*number) +
                              "s\". It is " + expectation(setting) + ".");
  }
  if (number && (setting.kind == SettingKind::kSize || setting.kind == SettingKind::kCount)) {
    return assign(setting, std::to_string(*number), source);
  }
  const auto flag = node.value_exact<bool>();
  if (flag && setting.kind == SettingKind::kFlag) {
    return assign_value(setting, SettingValue(*flag), source);
  }
  problem(where, setting.full_name() + " has the wrong type: it is " + expectation(setting) +
                     ". Example: " + std::string(setting.name) + " = " +
                     (setting.kind == SettingKind::kCount || setting.kind == SettingKind::kFlag
                          ? std::string(setting.fallback)
                          : toml_quote(setting.fallback)) +
                     ".");
}

void Loader::read_environment(const std::vector<std::string>& environment) {
  std::vector<std::string> known;
  for (const Setting& setting : settings()) {
    known.push_back(setting.environment_name());
    if (setting.kind == SettingKind::kSecret) known.push_back(known.back() + "_FILE");
  }
  std::set<const Setting*> secrets_given;
  for (const std::string& line : environment) {
    const std::size_t equals = line.find('=');
    if (!line.starts_with("DAYBOOK_") || equals == std::string::npos) continue;
    const std::string name = line.substr(0, equals);
    const std::string value = line.substr(equals + 1);
    if (std::ranges::find(kOtherEnvironmentNames, name) != kOtherEnvironmentNames.end()) continue;
    if (std::ranges::find(known, name) == known.end()) {
      const std::vector<std::string_view> names(known.begin(), known.end());
      const std::string near = core::nearest_word(name, names);
      problem("environment", "there is no setting " + name + "." +
                                 (near.empty() ? "" : " Did you mean " + near + "?"));
      continue;
    }
    for (const Setting& setting : settings()) {
      const bool itself = name == setting.environment_name();
      const bool its_file =
          setting.kind == SettingKind::kSecret && name == setting.environment_name() + "_FILE";
      if (!itself && !its_file) continue;
      if (setting.kind == SettingKind::kSecret && !secrets_given.insert(&setting).second) {
        problem(setting.environment_name(),
                "this and " + setting.environment_name() + "_FILE are both set: keep one of them.");
      } else if (its_file) {
        assign_secret_file(setting, value, {SettingOrigin::environment, name});
      } else {
        assign(setting, value, {SettingOrigin::environment, name});
      }
      break;
    }
  }
}

void Loader::read_override(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::size_t dot = text.find('.');
  if (equals == std::string::npos || dot == std::string::npos || dot > equals) {
    return problem("--set", toml_quote(text.substr(0, equals)) +
                                " is not SECTION.NAME=VALUE. Example: --set log.level=debug");
  }
  const std::string section = text.substr(0, dot);
  const std::string name = text.substr(dot + 1, equals - dot - 1);
  const std::string value = text.substr(equals + 1);
  const Target target = find_target(section, name);
  const SettingSource source{SettingOrigin::flag, "--set"};
  if (std::ranges::find(table_names(), section) != table_names().end()) {
    return problem("--set", "[[" + section + "]] comes from the configuration file only.");
  }
  if (target.setting == nullptr) {
    const std::string near = nearest_setting(section, name);
    return problem("--set", "there is no setting " + section + "." + name + "." +
                                (near.empty() ? "" : " Did you mean " + near + "?"));
  }
  if (target.secret_file) return assign_secret_file(*target.setting, value, source);
  if (target.setting->kind == SettingKind::kSecret) {
    return problem("--set", target.setting->full_name() +
                                " is a secret and must not be given on a command line, which "
                                "every user of this machine can read with ps. Set " +
                                target.setting->environment_name() + " or " +
                                target.setting->environment_name() + "_FILE.");
  }
  assign(*target.setting, value, source);
}

Result<LoadedConfig> Loader::finish() {
  core::Config& config = loaded_.config;
  if (problems_.empty()) problems_ = broken_rules(config);
  if (!problems_.empty()) {
    std::string all;
    for (const std::string& line : problems_) all += (all.empty() ? "" : "\n") + line;
    return refuse(std::move(all));
  }
  if (config.spool_dir.empty()) config.spool_dir = config.node_data_dir + "/spool";
  if (config.archive_file_dir.empty()) config.archive_file_dir = config.node_data_dir + "/archive";
  if (config.metadata_sqlite_file.empty()) {
    config.metadata_sqlite_file = config.node_data_dir + "/metadata.sqlite";
  }
  return std::move(loaded_);
}

}  // namespace

std::vector<std::string> process_environment() {
  std::vector<std::string> lines;
  for (char** line = environ; line != nullptr && *line != nullptr; ++line)
    lines.emplace_back(*line);
  return lines;
}

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  Loader loader;
  if (sources.file) loader.read_file(*sources.file);
  loader.read_environment(sources.environment);
  for (const std::string& text : sources.overrides) loader.read_override(text);
  return loader.finish();
}

}  // namespace daybook::api
