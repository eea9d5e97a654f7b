#include "api/config_tables.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <sys/stat.h>

#include "api/local_file.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Result;

// Far above any real one; what is larger is likely the wrong file.
constexpr std::size_t kSecretBytesMax = 64 * core::KiB;

constexpr std::array<std::string_view, 3> kTableNames = {"poller", "subscriber", "transform"};

#define FIELD_ROW(table, must, name, kind, fallback, min, max, help)                  \
  Field{{kSection, #name, SettingKind::k##kind, fallback, min, max, help},            \
        must,                                                                         \
        [](const core::ConfigTable& entry) {                                          \
          return SettingValue(static_cast<const core::table&>(entry).name);           \
        },                                                                            \
        [](core::ConfigTable& entry, const SettingValue& value) {                     \
          static_cast<core::table&>(entry).name = std::get<core::Field##kind>(value); \
        }},
#define FIELD(...) FIELD_ROW(TABLE, false, __VA_ARGS__)
#define REQUIRED(...) FIELD_ROW(TABLE, true, __VA_ARGS__)

namespace poller {
constexpr std::string_view kSection = "poller";
#define TABLE PollerConfig
constexpr Field kFields[] = {
#include "core/poller.def"
};
#undef TABLE
}  // namespace poller

namespace subscriber {
constexpr std::string_view kSection = "subscriber";
#define TABLE SubscriberConfig
constexpr Field kFields[] = {
#include "core/subscriber.def"
};
#undef TABLE
}  // namespace subscriber

namespace transform {
constexpr std::string_view kSection = "transform";
#define TABLE TransformConfig
constexpr Field kFields[] = {
#include "core/transform.def"
};
#undef TABLE
}  // namespace transform

namespace step {
constexpr std::string_view kSection = "step";
#define TABLE TransformStepConfig
constexpr Field kFields[] = {
#include "core/transform_step.def"
};
#undef TABLE
}  // namespace step

#undef FIELD
#undef REQUIRED
#undef FIELD_ROW

std::string place(const std::string& file, const toml::source_region& source) {
  return file + ":" + std::to_string(source.begin.line);
}

// Reads one file's tables; problems go where the caller collects them.
class TableReader {
 public:
  TableReader(const std::string& file, std::vector<std::string>& problems)
      : file_(file), problems_(problems) {}

  template <class Entry>
  void read_array(std::string_view name, const toml::node& node, std::size_t max,
                  std::vector<Entry>& entries) {
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      return problem(node, std::string(name) + " may occur more than once: write [[" +
                               std::string(name) + "]].");
    }
    for (const toml::node& element : *array) {
      const toml::table* table = element.as_table();
      if (table == nullptr) {
        problem(element,
                std::string(name) + " is a list of tables: [[" + std::string(name) + "]].");
      } else if (entries.size() == max) {
        return problem(element, "there are more than " + std::to_string(max) + " of [[" +
                                    std::string(name) + "]].");
      } else {
        read_entry(*table, entries.emplace_back());
      }
    }
  }

 private:
  template <class Entry>
  void read_entry(const toml::table& table, Entry& entry) {
    entry.where = place(file_, table.source());
    const auto fields = fields_of(entry);
    for (const Field& field : fields) {
      if (field.required) continue;
      const auto value = parse_setting(field, field.fallback);
      if (value) {
        field.set(entry, *value);
      } else {
        problems_.push_back("Default: " + value.error().detail);  // a wrong row of the .def file
      }
    }
    for (const auto& [key, node] : table) {
      if constexpr (std::same_as<Entry, core::TransformConfig>) {
        if (key == "steps") {
          read_array("transform.steps", node, core::limits::kTransformStepsMax, entry.steps);
          continue;
        }
      }
      read_field(fields, key, node, entry);
    }
    for (const Field& field : fields) {
      if (!field.required || entry.has(std::string(field.name))) continue;
      problem(table, field.full_name() + " is missing. Example: " + std::string(field.name) +
                         " = " + toml_quote(field.fallback) + ".");
    }
  }
  void read_field(std::span<const Field> fields, const toml::key& key, const toml::node& node,
                  core::ConfigTable& entry);
  void read_value(const Field& field, const toml::node& node, core::ConfigTable& entry);
  bool read_text(const Field& field, const toml::node& node, core::ConfigTable& entry);
  void read_list(const Field& field, const toml::node& node, core::ConfigTable& entry);
  void read_table(const Field& field, const toml::node& node, core::ConfigTable& entry);
  void read_secret(const Field& field, const toml::node& node, core::ConfigTable& entry);
  // The text of a member; a problem and nullopt where it is none.
  std::optional<std::string> member_text(const Field& field, const toml::node& node);
  std::optional<core::SecretFile> secret(const Field& field, const toml::node& node);
  void assign(const Field& field, const toml::node& node, const SettingValue& value,
              core::ConfigTable& entry);
  void wrong_type(const Field& field, const toml::node& node);

  void problem(const toml::node& node, const std::string& what) {
    problems_.push_back(place(file_, node.source()) + ": " + what);
  }

  const std::string& file_;
  std::vector<std::string>& problems_;
};

void TableReader::read_field(std::span<const Field> fields, const toml::key& key,
                             const toml::node& node, core::ConfigTable& entry) {
  const std::string name(key.str());
  const auto found = std::ranges::find(fields, name, &Field::name);
  if (found == fields.end()) {
    std::vector<std::string_view> names;
    for (const Field& field : fields) names.push_back(field.name);
    if (fields.data() == transform::kFields) names.emplace_back("steps");
    const std::string section(fields.front().section);
    std::string near = core::nearest_word(name, names);
    // `secret` for secret_file: a secret that stands in the file itself.
    if (near.empty() && std::ranges::find(names, name + "_file") != names.end()) {
      near = name + "_file";
    }
    problems_.push_back(place(file_, key.source()) + ": there is no setting " + section + "." +
                        name + "." +
                        (near.empty() ? "" : " Did you mean " + section + "." + near + "?"));
    return;
  }
  entry.given[name] = place(file_, key.source());
  read_value(*found, node, entry);
}

void TableReader::read_value(const Field& field, const toml::node& node, core::ConfigTable& entry) {
  switch (field.kind) {
    case SettingKind::kList:
      return read_list(field, node, entry);
    case SettingKind::kTable:
    case SettingKind::kSecretFiles:
      return read_table(field, node, entry);
    case SettingKind::kSecretFile:
      return read_secret(field, node, entry);
    default:
      if (!read_text(field, node, entry)) wrong_type(field, node);
  }
}

bool TableReader::read_text(const Field& field, const toml::node& node, core::ConfigTable& entry) {
  std::string text;
  if (const auto value = node.value_exact<std::string>()) {
    text = *value;
  } else if (const auto flag = node.value_exact<bool>(); flag && field.kind == SettingKind::kFlag) {
    field.set(entry, SettingValue(*flag));
    return true;
  } else if (const auto number = node.value_exact<std::int64_t>();
             number && (field.kind == SettingKind::kSize || field.kind == SettingKind::kCount)) {
    text = std::to_string(*number);
  } else if (number && field.kind == SettingKind::kTime) {
    problem(node, field.full_name() + " = " + std::to_string(*number) +
                      " has no unit: write for example \"" + std::to_string(*number) +
                      "s\". It is " + expectation(field) + ".");
    return true;
  } else {
    return false;
  }
  const auto value = parse_setting(field, text);
  if (value) {
    field.set(entry, *value);
  } else {
    problem(node, value.error().detail);
  }
  return true;
}

void TableReader::wrong_type(const Field& field, const toml::node& node) {
  std::string example;
  if (field.kind == SettingKind::kList)
    example = " Example: " + std::string(field.name) + " = [\"a\", \"b\"].";
  if (field.kind == SettingKind::kTable || field.kind == SettingKind::kSecretFiles) {
    example = " Example: " + std::string(field.name) + " = { name = \"" +
              (field.kind == SettingKind::kTable ? "text" : "/path/to/file") + "\" }.";
  }
  problem(node,
          field.full_name() + " has the wrong type: it is " + expectation(field) + "." + example);
}

void TableReader::assign(const Field& field, const toml::node& node, const SettingValue& value,
                         core::ConfigTable& entry) {
  if (within_bounds(field, value)) {
    field.set(entry, value);
  } else {
    problem(node, field.full_name() + " has the wrong number of members: it is " +
                      expectation(field) + ".");
  }
}

std::optional<std::string> TableReader::member_text(const Field& field, const toml::node& node) {
  auto text = node.value_exact<std::string>();
  if (!text) {
    wrong_type(field, node);
  } else if (text->find('\0') != std::string::npos || !core::is_utf8(*text)) {
    problem(node, field.full_name() + " must be UTF-8 text without NUL.");
  } else {
    return text;
  }
  return std::nullopt;
}

void TableReader::read_list(const Field& field, const toml::node& node, core::ConfigTable& entry) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return wrong_type(field, node);
  core::FieldList list;
  for (const toml::node& member : *array) {
    auto text = member_text(field, member);
    if (!text) return;
    list.push_back(*std::move(text));
  }
  assign(field, node, list, entry);
}

void TableReader::read_table(const Field& field, const toml::node& node, core::ConfigTable& entry) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return wrong_type(field, node);
  core::FieldTable texts;
  core::FieldSecretFiles files;
  for (const auto& [key, member] : *table) {
    if (field.kind == SettingKind::kSecretFiles) {
      auto file = secret(field, member);
      if (!file) return;
      files.emplace(key.str(), *std::move(file));
    } else {
      auto text = member_text(field, member);
      if (!text) return;
      texts.emplace(key.str(), *std::move(text));
    }
  }
  const bool secrets = field.kind == SettingKind::kSecretFiles;
  assign(field, node, secrets ? SettingValue(files) : SettingValue(texts), entry);
}

std::optional<core::SecretFile> TableReader::secret(const Field& field, const toml::node& node) {
  auto path = member_text(field, node);
  if (!path) return std::nullopt;
  auto text = read_secret_file(*path);
  if (text) return core::SecretFile{*std::move(path), *std::move(text)};
  problem(node, field.full_name() + ": " + text.error().detail);
  return std::nullopt;
}

void TableReader::read_secret(const Field& field, const toml::node& node,
                              core::ConfigTable& entry) {
  if (auto file = secret(field, node)) field.set(entry, SettingValue(*std::move(file)));
}

}  // namespace

std::span<const Field> fields_of(const core::PollerConfig&) {
  return poller::kFields;
}
std::span<const Field> fields_of(const core::SubscriberConfig&) {
  return subscriber::kFields;
}
std::span<const Field> fields_of(const core::TransformConfig&) {
  return transform::kFields;
}
std::span<const Field> fields_of(const core::TransformStepConfig&) {
  return step::kFields;
}

std::span<const std::string_view> table_names() {
  return kTableNames;
}

void read_tables(std::string_view name, const std::string& file, const toml::node& node,
                 core::Config& config, std::vector<std::string>& problems) {
  TableReader reader(file, problems);
  constexpr std::size_t kMax = core::limits::kConfigTablesMax;
  if (name == "poller") reader.read_array(name, node, kMax, config.pollers);
  if (name == "subscriber") reader.read_array(name, node, kMax, config.subscribers);
  if (name == "transform") reader.read_array(name, node, kMax, config.transforms);
}

Result<std::string> read_secret_file(const std::string& path) {
  const auto refuse = [](std::string detail) {
    return core::fail(Code::invalid_argument, core::Origin::self, core::Retry::never,
                      "Secret: " + std::move(detail));
  };
  auto file = read_local_file(path, kSecretBytesMax);
  if (!file) {
    const bool large = file.error().code == Code::too_large;
    return refuse(file.error().detail + (large ? " Is it the right file?" : ""));
  }
  if (file->regular && (file->mode & S_IROTH) != 0) {
    return refuse(path + " can be read by every user of this machine. " +
                  "Mend it with: chmod o-rwx " + path);
  }
  std::string text(core::as_text(file->bytes));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) return refuse(path + " is empty.");
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
    return refuse(path + " has a line break or control character.");
  }
  return text;
}

bool is_table_name(std::string_view text) {
  constexpr std::size_t kBytesMax = 64;  // it becomes a label and part of keys
  return !text.empty() && text.size() <= kBytesMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

}  // namespace daybook::api
