// Tables of the configuration as text: the examples of `daybook config --defaults` and the
// effective ones. What a secret's file holds is never printed.
#include <functional>

#include <boost/json.hpp>

#include "api/config_tables.hpp"

namespace daybook::api {
namespace {

constexpr std::size_t kOriginColumn = 44;

// A key as TOML writes it.
std::string toml_key(std::string_view key) {
  return is_table_name(key) ? std::string(key) : toml_quote(key);
}

template <class Map, class Text>
std::string inline_table(const Map& map, Text text) {
  std::string members;
  for (const auto& [key, value] : map) {
    members += (members.empty() ? " " : ", ") + toml_key(key) + " = " + toml_quote(text(value));
  }
  return "{" + members + (members.empty() ? "}" : " }");
}

std::string toml_value(const Field& field, const SettingValue& value) {
  switch (field.kind) {
    case SettingKind::kList: {
      std::string members;
      for (const std::string& text : std::get<core::FieldList>(value)) {
        members += (members.empty() ? "" : ", ") + toml_quote(text);
      }
      return "[" + members + "]";
    }
    case SettingKind::kTable:
      return inline_table(std::get<core::FieldTable>(value), std::identity{});
    case SettingKind::kSecretFiles:
      return inline_table(std::get<core::FieldSecretFiles>(value),
                          [](const core::SecretFile& file) { return file.path; });
    case SettingKind::kSecretFile:
      return toml_quote(std::get<core::SecretFile>(value).path);
    case SettingKind::kCount:
    case SettingKind::kFlag:
      return format_setting(field, value);
    default:
      return toml_quote(format_setting(field, value));
  }
}

bool is_secret(const Field& field) {
  return field.kind == SettingKind::kSecretFile || field.kind == SettingKind::kSecretFiles;
}

std::string commented(const std::string& line) {
  return "# " + line + "\n";
}

// An example of one table, every line a comment.
std::string example(std::string_view head, std::span<const Field> fields) {
  std::string text = "\n" + commented("[[" + std::string(head) + "]]");
  for (const Field& field : fields) {
    const auto value = parse_setting(field, field.fallback);
    text += commented("  # " + std::string(field.help));
    if (!choices_of(field).empty() || !field.min.empty() || !field.max.empty()) {
      text += commented("  # Allowed: " + expectation(field) + ".");
    }
    if (value)
      text += commented("  " + std::string(field.name) + " = " + toml_value(field, *value));
  }
  return text;
}

// all: also what was not given.
template <class Entry>
std::string effective(std::string_view head, const Entry& entry, bool all) {
  std::string text = "\n[[" + std::string(head) + "]]";
  text.resize(kOriginColumn + 1, ' ');
  text += " # " + entry.where + "\n";
  for (const Field& field : fields_of(entry)) {
    const bool given = entry.has(std::string(field.name));
    const SettingValue value = field.get(entry);
    // A secret that was not given has no path to print.
    if (!given && (!all || field.kind == SettingKind::kSecretFile)) continue;
    std::string line = std::string(field.name) + " = " + toml_value(field, value);
    if (line.size() < kOriginColumn) line.resize(kOriginColumn, ' ');
    text += line + " # " + (given ? entry.place_of(std::string(field.name)) : "default") +
            (is_secret(field) && given ? " (set)" : "") + "\n";
  }
  return text;
}

boost::json::value json_value(const Field& field, const SettingValue& value) {
  const auto members = [](const auto& map, auto text) {
    boost::json::object object;
    for (const auto& [key, member] : map) object[key] = text(member);
    return object;
  };
  switch (field.kind) {
    case SettingKind::kList: {
      const auto& list = std::get<core::FieldList>(value);
      return boost::json::array(list.begin(), list.end());
    }
    case SettingKind::kTable:
      return members(std::get<core::FieldTable>(value), std::identity{});
    case SettingKind::kSecretFiles:
      return members(std::get<core::FieldSecretFiles>(value),
                     [](const core::SecretFile&) { return "(set)"; });
    case SettingKind::kSecretFile:
      return std::get<core::SecretFile>(value).path.empty() ? "(not set)" : "(set)";
    default:
      return boost::json::string(format_setting(field, value));
  }
}

template <class Entry>
boost::json::object json_entry(const Entry& entry) {
  boost::json::object object;
  for (const Field& field : fields_of(entry)) {
    const bool given = entry.has(std::string(field.name));
    object[field.name] =
        boost::json::object{{"value", json_value(field, field.get(entry))},
                            {"origin", given ? "file" : "default"},
                            {"where", given ? entry.place_of(std::string(field.name)) : "default"}};
  }
  return object;
}

template <class Entry>
boost::json::array json_entries(const std::vector<Entry>& entries) {
  boost::json::array array;
  for (const Entry& entry : entries) array.push_back(json_entry(entry));
  return array;
}

}  // namespace

std::string default_tables_toml() {
  return "\n# Tables that may occur more than once. None is there by default.\n" +
         example("poller", fields_of(core::PollerConfig{})) +
         example("subscriber", fields_of(core::SubscriberConfig{})) +
         example("transform", fields_of(core::TransformConfig{})) +
         example("transform.steps", fields_of(core::TransformStepConfig{}));
}

std::string effective_tables_toml(const core::Config& config) {
  std::string text;
  for (const auto& entry : config.pollers) text += effective("poller", entry, true);
  for (const auto& entry : config.subscribers) text += effective("subscriber", entry, true);
  for (const auto& entry : config.transforms) {
    text += effective("transform", entry, true);
    for (const auto& step : entry.steps) text += effective("transform.steps", step, false);
  }
  return text;
}

void add_tables_json(const core::Config& config, boost::json::object& document) {
  document["poller"] = json_entries(config.pollers);
  document["subscriber"] = json_entries(config.subscribers);
  boost::json::array transforms;
  for (const auto& entry : config.transforms) {
    boost::json::object object = json_entry(entry);
    object["steps"] = json_entries(entry.steps);
    transforms.push_back(std::move(object));
  }
  document["transform"] = std::move(transforms);
}

}  // namespace daybook::api
