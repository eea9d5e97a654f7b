// The configuration as text for people and scripts: complete default TOML, and effective values
// with their origin. Secrets are never printed.
#include <boost/json.hpp>

#include "api/config_loader.hpp"
#include "api/config_settings.hpp"
#include "api/config_tables.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

std::string toml_value(const Setting& setting, const std::string& text) {
  const bool bare = setting.kind == SettingKind::kCount || setting.kind == SettingKind::kFlag;
  return bare ? text : toml_quote(text);
}

std::string_view secret_state(const Setting& setting, const core::Config& config) {
  return std::get<std::string>(setting.get(config)).empty() ? "(not set)" : "(set)";
}

// Values that were not given are shown as they came out: the resolved folder, not "".
std::string value_text(const Setting& setting, const core::Config& config) {
  return format_setting(setting, setting.get(config));
}

bool wants_range(const Setting& setting) {
  return !setting.min.empty() || !setting.max.empty() || !choices_of(setting).empty();
}

std::string section_head(std::string_view section, bool first) {
  return (first ? "" : "\n") + ("[" + std::string(section)) + "]\n";
}

std::string_view origin_word(SettingOrigin origin) {
  switch (origin) {
    case SettingOrigin::fallback:
      return "default";
    case SettingOrigin::file:
      return "file";
    case SettingOrigin::environment:
      return "environment";
    case SettingOrigin::flag:
      return "flag";
  }
  return "default";
}

}  // namespace

std::string default_config_toml() {
  std::string text =
      "# Daybook's configuration: every setting at its default.\n"
      "# Flags (--set SECTION.NAME=VALUE) win over the environment (DAYBOOK_SECTION_NAME), the\n"
      "# environment over this file. Sizes: B, KiB, MiB, GiB, kB, MB, GB. Times: ms, s, m, h, d.\n";
  std::string_view section;
  for (const Setting& setting : settings()) {
    if (setting.section != section) text += section_head(setting.section, false);
    section = setting.section;
    text += "\n# " + std::string(setting.help) + "\n";
    if (setting.kind == SettingKind::kSecret) {
      text += "# Secret: set " + setting.environment_name() + ", or name a file here.\n# " +
              std::string(setting.name) + "_file = \"/path/to/file\"\n";
      continue;
    }
    if (wants_range(setting)) text += "# Allowed: " + expectation(setting) + ".\n";
    text += std::string(setting.name) + " = " + toml_value(setting, std::string(setting.fallback)) +
            "\n";
  }
  return text + default_tables_toml();
}

std::string effective_config_toml(const LoadedConfig& loaded) {
  std::string text;
  std::string_view section;
  for (std::size_t i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    if (setting.section != section) text += section_head(setting.section, section.empty());
    section = setting.section;
    std::string line;
    if (setting.kind == SettingKind::kSecret) {
      line = "# " + std::string(setting.name) + " " +
             std::string(secret_state(setting, loaded.config));
    } else {
      line = std::string(setting.name) + " = " +
             toml_value(setting, value_text(setting, loaded.config));
    }
    constexpr std::size_t kOriginColumn = 44;
    if (line.size() < kOriginColumn) line.resize(kOriginColumn, ' ');
    text += line + " # " + loaded.sources[i].where + "\n";
  }
  return text + effective_tables_toml(loaded.config);
}

std::string effective_config_json(const LoadedConfig& loaded) {
  boost::json::object document;
  for (std::size_t i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    const std::string value = setting.kind == SettingKind::kSecret
                                  ? std::string(secret_state(setting, loaded.config))
                                  : value_text(setting, loaded.config);
    document[setting.full_name()] =
        boost::json::object{{"value", value},
                            {"origin", origin_word(loaded.sources[i].origin)},
                            {"where", loaded.sources[i].where}};
  }
  add_tables_json(loaded.config, document);
  return boost::json::serialize(document);
}

}  // namespace daybook::api
