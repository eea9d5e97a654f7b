#include "api/config_settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "core/check.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Retry;

// A setting's member is known only by its name, so each row gets its own pair of accessors.
#define CONFIG(section, name, kind, fallback, min, max, help)                               \
  Setting{#section,                                                                         \
          #name,                                                                            \
          SettingKind::k##kind,                                                             \
          fallback,                                                                         \
          min,                                                                              \
          max,                                                                              \
          help,                                                                             \
          [](const core::Config& config) { return SettingValue(config.section##_##name); }, \
          [](core::Config& config, const SettingValue& value) {                             \
            config.section##_##name = std::get<core::Config##kind>(value);                  \
          }},
constexpr Setting kSettings[] = {
#include "core/config.def"
};
#undef CONFIG

struct Choices {
  std::string_view section, name;
  std::array<std::string_view, 7> words;
  std::size_t count;
};
constexpr Choices kChoices[] = {
    {"buffer", "durability", {"fsync", "memory", "replicated:N"}, 3},
    {"archive", "kind", {"file", "s3"}, 2},
    {"archive",
     "s3_credentials",
     {"auto", "static", "environment", "web_identity", "profile", "container", "instance"},
     7},
    {"metadata", "kind", {"sqlite", "postgresql", "dynamodb"}, 3},
    {"archive", "lock_mode", {"none", "governance", "compliance"}, 3},
    {"archive", "s3_encryption", {"none", "sse-s3", "sse-kms"}, 3},
    {"log", "level", {"trace", "debug", "info", "warn", "error"}, 5},
};

core::Failure refuse(std::string detail) {
  return core::fail(Code::invalid_argument, Origin::self, Retry::never, std::move(detail));
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  text = core::trim(text);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> parse_flag(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

// The value as a number for comparison with bounds; nullopt where the text does not parse.
std::optional<SettingValue> parse_kind(SettingKind kind, std::string_view text) {
  switch (kind) {
    case SettingKind::kText:
    case SettingKind::kPath:
    case SettingKind::kSecret:
      return SettingValue(std::string(text));
    case SettingKind::kSize:
      if (const auto size = core::parse_size(text)) return SettingValue(*size);
      return std::nullopt;
    case SettingKind::kTime:
      if (const auto time = core::parse_duration(text)) return SettingValue(*time);
      return std::nullopt;
    case SettingKind::kCount:
      if (const auto count = parse_count(text)) return SettingValue(*count);
      return std::nullopt;
    case SettingKind::kFlag:
      if (const auto flag = parse_flag(text)) return SettingValue(*flag);
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view kind_in_words(SettingKind kind) {
  switch (kind) {
    case SettingKind::kText:
      return "a text";
    case SettingKind::kPath:
      return "a path";
    case SettingKind::kSize:
      return "a size with a unit";
    case SettingKind::kTime:
      return "a duration with a unit (ms, s, m, h, d)";
    case SettingKind::kCount:
      return "a whole number";
    case SettingKind::kFlag:
      return "true or false";
    case SettingKind::kSecret:
      return "a secret";
  }
  return "a value";
}

// Kinds whose TOML form needs no quotes.
bool is_bare(SettingKind kind) {
  return kind == SettingKind::kCount || kind == SettingKind::kFlag;
}

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

std::string example(const Setting& setting) {
  const std::string value =
      is_bare(setting.kind) ? std::string(setting.fallback) : toml_quote(setting.fallback);
  return "Example: " + std::string(setting.name) + " = " + value + ".";
}

}  // namespace

std::string Setting::full_name() const {
  return std::string(section) + "." + std::string(name);
}

std::string Setting::environment_name() const {
  std::string text = "DAYBOOK_" + std::string(section) + "_" + std::string(name);
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

std::span<const Setting> settings() {
  return kSettings;
}

const Setting* find_setting(std::string_view section, std::string_view name) {
  const auto found = std::ranges::find_if(kSettings, [&](const Setting& setting) {
    return setting.section == section && setting.name == name;
  });
  return found == std::end(kSettings) ? nullptr : &*found;
}

std::span<const std::string_view> choices_of(const Setting& setting) {
  for (const Choices& choices : kChoices) {
    if (choices.section == setting.section && choices.name == setting.name) {
      return std::span(choices.words).first(choices.count);
    }
  }
  return {};
}

// "word:N" stands for word:1 to word:9.
bool is_choice(std::string_view text, std::string_view choice) {
  if (!choice.ends_with(":N")) return text == choice;
  const std::string_view word = choice.substr(0, choice.size() - 1);
  return text.size() == choice.size() && text.starts_with(word) && text.back() >= '1' &&
         text.back() <= '9';
}

std::string expectation(const Setting& setting) {
  const auto choices = choices_of(setting);
  if (choices.size() == 1) return toml_quote(choices[0]);
  if (!choices.empty()) return "one of " + joined(choices);
  std::string text(kind_in_words(setting.kind));
  if (!setting.min.empty() && !setting.max.empty()) {
    text += " between " + std::string(setting.min) + " and " + std::string(setting.max);
  } else if (!setting.min.empty()) {
    text += ", at least " + std::string(setting.min);
  } else if (!setting.max.empty()) {
    text += ", at most " + std::string(setting.max);
  }
  return text;
}

core::Result<SettingValue> parse_setting(const Setting& setting, std::string_view text) {
  const std::string wants = toml_quote(text) + " does not fit: " + setting.full_name() + " is " +
                            expectation(setting) + ". " + example(setting);
  if (text.find('\0') != std::string_view::npos || !core::is_utf8(text)) {
    return refuse(setting.full_name() + " must be UTF-8 text without NUL.");
  }
  std::optional<SettingValue> value = parse_kind(setting.kind, text);
  if (!value) return refuse(wants);
  if (const auto choices = choices_of(setting);
      !choices.empty() &&
      std::ranges::none_of(choices, [&](auto choice) { return is_choice(text, choice); })) {
    const std::string near = core::nearest_word(text, choices);
    return refuse(wants + (near.empty() ? "" : " Did you mean " + toml_quote(near) + "?"));
  }
  // Values of one kind compare as what they are; a bound that does not parse is a bug of the row.
  if (!setting.min.empty()) {
    const auto min = parse_kind(setting.kind, setting.min);
    CHECK(min.has_value());
    if (*value < *min) return refuse(wants);
  }
  if (!setting.max.empty()) {
    const auto max = parse_kind(setting.kind, setting.max);
    CHECK(max.has_value());
    if (*value > *max) return refuse(wants);
  }
  return *std::move(value);
}

std::string format_setting(const Setting& setting, const SettingValue& value) {
  switch (setting.kind) {
    case SettingKind::kSize:
      return core::format_size(std::get<std::uint64_t>(value));
    case SettingKind::kTime:
      return core::format_duration(std::get<core::ConfigTime>(value));
    case SettingKind::kCount:
      return std::to_string(std::get<std::uint64_t>(value));
    case SettingKind::kFlag:
      return std::get<bool>(value) ? "true" : "false";
    case SettingKind::kText:
    case SettingKind::kPath:
    case SettingKind::kSecret:
      break;
  }
  CHECK(setting.kind != SettingKind::kSecret);
  return std::get<std::string>(value);
}

std::string nearest_setting(std::string_view section, std::string_view name) {
  std::vector<std::string_view> names_here;
  for (const Setting& setting : kSettings) {
    if (setting.section == section) names_here.push_back(setting.name);
  }
  if (const std::string near = core::nearest_word(name, names_here); !near.empty()) {
    return std::string(section) + "." + near;
  }
  // The right name in the wrong section is a likelier slip than two typing errors.
  for (const Setting& setting : kSettings) {
    if (setting.name == name) return setting.full_name();
  }
  std::vector<std::string> names;
  for (const Setting& setting : kSettings) names.push_back(setting.full_name());
  const std::vector<std::string_view> views(names.begin(), names.end());
  return core::nearest_word(std::string(section) + "." + std::string(name), views);
}

std::string toml_quote(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04X", byte);
      quoted += escape.data();
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace daybook::api
