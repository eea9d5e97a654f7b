// The settings table: one Setting per row of core/config.def, with the text codec of its kind.
// Loader, `daybook config`, --help and the reference page all read this table, so that none of them
// can know a setting the others do not. Immutable after start; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"

namespace daybook::api {

enum class SettingKind { kText, kPath, kSize, kTime, kCount, kFlag, kSecret };

// Text, Path and Secret are strings, Size and Count numbers.
using SettingValue = std::variant<std::string, std::uint64_t, std::chrono::milliseconds, bool>;

struct Setting {
  std::string_view section;
  std::string_view name;
  SettingKind kind;
  std::string_view fallback;  // text as an operator would write it
  std::string_view min, max;  // "" = no bound
  std::string_view help;
  SettingValue (*get)(const core::Config&);
  void (*set)(core::Config&, const SettingValue&);

  [[nodiscard]] std::string full_name() const;         // "server.listen"
  [[nodiscard]] std::string environment_name() const;  // "DAYBOOK_SERVER_LISTEN"
};

// In the order of config.def.
[[nodiscard]] std::span<const Setting> settings();
[[nodiscard]] const Setting* find_setting(std::string_view section, std::string_view name);

// The words a setting may have; empty where any text will do.
[[nodiscard]] std::span<const std::string_view> choices_of(const Setting& setting);

// Text -> value, with kind, range and choice checked. The error is one sentence that begins with
// the wrong text and ends with an example that would be accepted.
[[nodiscard]] core::Result<SettingValue> parse_setting(const Setting& setting,
                                                       std::string_view text);
// Value -> the text parse_setting reads. Not for secrets.
[[nodiscard]] std::string format_setting(const Setting& setting, const SettingValue& value);

// "a size such as "8MiB", between 1B and 64MiB" - what the setting wants, for errors and comments.
[[nodiscard]] std::string expectation(const Setting& setting);

// A full name ("server.listen") near to the unknown one, or "".
[[nodiscard]] std::string nearest_setting(std::string_view section, std::string_view name);

// Quoted for TOML (and for messages): "a\"b".
[[nodiscard]] std::string toml_quote(std::string_view text);

}  // namespace daybook::api
