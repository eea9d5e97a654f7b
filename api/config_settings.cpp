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
  Setting{{#section, #name, SettingKind::k##kind, fallback, min, max, help},                \
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
    {"archive", "layout", {"object", "segment"}, 2},
    {"archive",
     "s3_credentials",
     {"auto", "static", "environment", "web_identity", "profile", "container", "instance"},
     7},
    {"metadata", "kind", {"sqlite", "postgresql", "dynamodb"}, 3},
    {"archive", "lock_mode", {"none", "governance", "compliance"}, 3},
    {"archive", "s3_encryption", {"none", "sse-s3", "sse-kms"}, 3},
    {"log", "level", {"trace", "debug", "info", "warn", "error"}, 5},
    {"poller", "method", {"GET", "POST"}, 2},
    {"poller", "format", {"auto", "json", "ndjson", "raw"}, 4},
    {"poller", "cursor", {"none", "last", "first", "max", "answer", "date"}, 6},
    {"poller", "cursor_format", {"text", "rfc3339", "seconds", "milliseconds"}, 4},
    {"poller", "next", {"none", "link", "member", "cursor"}, 4},
    {"subscriber",
     "format",
     {"standard-webhooks", "cloudevents-structured", "cloudevents-binary"},
     3},
    {"subscriber", "from", {"first", "now"}, 2},
    {"step", "missing", {"skip", "park"}, 2},
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

core::FieldList split_list(std::string_view text) {
  core::FieldList words;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    words.emplace_back(core::trim(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return words;
}

// nullopt where the text does not parse.
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
    case SettingKind::kList:
      return SettingValue(split_list(text));
    case SettingKind::kTable:
      return SettingValue(core::FieldTable{});
    case SettingKind::kSecretFile:
      return SettingValue(core::SecretFile{std::string(text), {}});
    case SettingKind::kSecretFiles:
      return SettingValue(core::FieldSecretFiles{});
  }
  return std::nullopt;
}

// How many members a list or table has; nullopt where the value is neither.
std::optional<std::uint64_t> members_of(const SettingValue& value) {
  if (const auto* list = std::get_if<core::FieldList>(&value)) return list->size();
  if (const auto* table = std::get_if<core::FieldTable>(&value)) return table->size();
  if (const auto* files = std::get_if<core::FieldSecretFiles>(&value)) return files->size();
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
    case SettingKind::kList:
      return "a list of texts";
    case SettingKind::kTable:
      return "a table of texts";
    case SettingKind::kSecretFile:
      return "the path of a file";
    case SettingKind::kSecretFiles:
      return "a table of paths";
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

std::string example(const Rule& rule) {
  const std::string value =
      is_bare(rule.kind) ? std::string(rule.fallback) : toml_quote(rule.fallback);
  return "Example: " + std::string(rule.name) + " = " + value + ".";
}

}  // namespace

std::string Rule::full_name() const {
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

std::span<const std::string_view> choices_of(const Rule& rule) {
  for (const Choices& choices : kChoices) {
    if (choices.section == rule.section && choices.name == rule.name) {
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

std::string expectation(const Rule& rule) {
  const auto choices = choices_of(rule);
  if (choices.size() == 1) return toml_quote(choices[0]);
  if (!choices.empty()) return "one of " + joined(choices);
  std::string text(kind_in_words(rule.kind));
  if (!rule.min.empty() && !rule.max.empty()) {
    text += " between " + std::string(rule.min) + " and " + std::string(rule.max);
  } else if (!rule.min.empty()) {
    text += ", at least " + std::string(rule.min);
  } else if (!rule.max.empty()) {
    text += ", at most " + std::string(rule.max);
  }
  return text;
}

core::Result<SettingValue> parse_setting(const Rule& rule, std::string_view text) {
  const std::string wants = toml_quote(text) + " does not fit: " + rule.full_name() + " is " +
                            expectation(rule) + ". " + example(rule);
  if (text.find('\0') != std::string_view::npos || !core::is_utf8(text)) {
    return refuse(rule.full_name() + " must be UTF-8 text without NUL.");
  }
  std::optional<SettingValue> value = parse_kind(rule.kind, text);
  if (!value) return refuse(wants);
  if (const auto choices = choices_of(rule);
      !choices.empty() &&
      std::ranges::none_of(choices, [&](auto choice) { return is_choice(text, choice); })) {
    const std::string near = core::nearest_word(text, choices);
    return refuse(wants + (near.empty() ? "" : " Did you mean " + toml_quote(near) + "?"));
  }
  if (!within_bounds(rule, *value)) return refuse(wants);
  return *std::move(value);
}

bool within_bounds(const Rule& rule, const SettingValue& value) {
  const auto members = members_of(value);
  const SettingKind kind = members ? SettingKind::kCount : rule.kind;
  const SettingValue& measure = members ? SettingValue(*members) : value;
  // Values of one kind compare as what they are; a bound that does not parse is a bug of the row.
  const auto bound = [&](std::string_view text) {
    auto parsed = parse_kind(kind, text);
    CHECK(parsed.has_value());
    return *std::move(parsed);
  };
  return (rule.min.empty() || measure >= bound(rule.min)) &&
         (rule.max.empty() || measure <= bound(rule.max));
}

std::string format_setting(const Rule& rule, const SettingValue& value) {
  CHECK(rule.kind != SettingKind::kSecret);
  switch (rule.kind) {
    case SettingKind::kSize:
      return core::format_size(std::get<std::uint64_t>(value));
    case SettingKind::kTime:
      return core::format_duration(std::get<core::ConfigTime>(value));
    case SettingKind::kCount:
      return std::to_string(std::get<std::uint64_t>(value));
    case SettingKind::kFlag:
      return std::get<bool>(value) ? "true" : "false";
    default:
      return std::get<std::string>(value);
  }
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
