// The settings table: one Setting per row of core/config.def, with the text codec of its kind,
// which the fields of tables (config_tables.hpp) share. Loader, `daybook config`, --help and the
// reference page all read this table, so that none of them can know a setting the others do not.
// Immutable after start; any thread.
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

// Those from kList on are for fields of tables only.
enum class SettingKind {
  kText,
  kPath,
  kSize,
  kTime,
  kCount,
  kFlag,
  kSecret,
  kList,
  kTable,
  kSecretFile,
  kSecretFiles
};

// Text, Path and Secret are strings, Size and Count numbers.
using SettingValue =
    std::variant<std::string, std::uint64_t, std::chrono::milliseconds, bool, core::FieldList,
                 core::FieldTable, core::SecretFile, core::FieldSecretFiles>;

// What a row says about a value.
struct Rule {
  std::string_view section;
  std::string_view name;
  SettingKind kind;
  std::string_view fallback;  // as an operator would write it; of what must be given, an example
  std::string_view min, max;  // "" = no bound; of lists and tables, how many members
  std::string_view help;

  [[nodiscard]] std::string full_name() const;  // "server.listen"
};

struct Setting : Rule {
  SettingValue (*get)(const core::Config&);
  void (*set)(core::Config&, const SettingValue&);

  [[nodiscard]] std::string environment_name() const;  // "DAYBOOK_SERVER_LISTEN"
};

// In the order of config.def.
[[nodiscard]] std::span<const Setting> settings();
[[nodiscard]] const Setting* find_setting(std::string_view section, std::string_view name);

// The words a setting may have; empty where any text will do.
[[nodiscard]] std::span<const std::string_view> choices_of(const Rule& rule);

// Text -> value, with kind, range and choice checked. The error is one sentence that begins with
// the wrong text and ends with an example that would be accepted.
[[nodiscard]] core::Result<SettingValue> parse_setting(const Rule& rule, std::string_view text);
// Of a value that did not come from text.
[[nodiscard]] bool within_bounds(const Rule& rule, const SettingValue& value);
// Value -> the text parse_setting reads. Not for secrets, lists and tables.
[[nodiscard]] std::string format_setting(const Rule& rule, const SettingValue& value);

// "a size such as "8MiB", between 1B and 64MiB" - what the setting wants, for errors and comments.
[[nodiscard]] std::string expectation(const Rule& rule);

// A full name ("server.listen") near to the unknown one, or "".
[[nodiscard]] std::string nearest_setting(std::string_view section, std::string_view name);

// Quoted for TOML (and for messages): "a\"b".
[[nodiscard]] std::string toml_quote(std::string_view text);

}  // namespace daybook::api
