#include "api/lookup_file.hpp"

#include <sys/stat.h>
#include <toml++/toml.h>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/local_file.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"
#include "core/transform/attributes.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::Result;
using core::Task;
using core::transform::Rows;
using Row = std::map<std::string, std::string>;

// What memory_plan counts of a file holds it so, twice while it is read again.
constexpr std::uint64_t kFileBytesMax = 4 * core::MiB;
constexpr std::size_t kTextsMax = 100'000;
constexpr auto kLookEvery = std::chrono::seconds(1);

core::Failure refuse(std::string detail) {
  return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                    std::move(detail));
}

// An attribute of a row; empty values are none.
Result<void> add(Row& row, const std::string& name, std::string value) {
  if (!core::transform::is_settable(name)) {
    return refuse("'" + name.substr(0, 80) +
                  "' is no attribute that can be set: a name has 1 to 64 letters, digits, '.', '_' "
                  "and '-'");
  }
  if (value.size() > core::limits::kAttributeBytesMax || !core::is_utf8(value) ||
      value.contains('\0')) {
    return refuse("attribute " + name + " is no UTF-8 text of at most 1 KiB");
  }
  if (!value.empty()) row[name] = std::move(value);
  return {};
}

// The rows read so far.
struct Table {
  Rows rows;
  std::size_t texts = 0;  // keys and values
};

Result<void> add_row(Table& table, std::string key, Row row) {
  table.texts += 1 + row.size();
  if (table.texts > kTextsMax) {
    return refuse("there are more than " + std::to_string(kTextsMax) + " keys and values");
  }
  if (key.empty() || !core::is_utf8(key)) return refuse("a key is empty, or no UTF-8");
  const std::string name = key.substr(0, 80);
  if (!table.rows.emplace(std::move(key), std::move(row)).second) {
    return refuse("key '" + name + "' stands twice");
  }
  return {};
}

// RFC 4180: fields in quotes may hold commas, line breaks and doubled quotes.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : rest_(text) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  }

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] std::size_t line() const { return line_; }  // of the record that was read last

  Result<std::vector<std::string>> record() {
    line_ = next_line_;
    std::vector<std::string> fields;
    for (;;) {
      auto field = rest_.starts_with('"') ? quoted() : Result<std::string>(plain());
      if (!field) return pass(std::move(field));
      fields.push_back(*std::move(field));
      if (!rest_.starts_with(',')) break;
      rest_.remove_prefix(1);
    }
    if (rest_.starts_with('\r')) rest_.remove_prefix(1);
    if (!rest_.empty() && !rest_.starts_with('\n')) return refuse("something follows a quote");
    if (!rest_.empty()) rest_.remove_prefix(1);
    ++next_line_;
    return fields;
  }

 private:
  std::string plain() {
    const std::size_t end = std::min(rest_.find_first_of(",\r\n"), rest_.size());
    std::string field(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return field;
  }
  Result<std::string> quoted() {
    std::string field;
    for (rest_.remove_prefix(1); !rest_.empty(); rest_.remove_prefix(1)) {
      if (rest_.front() == '\n') ++next_line_;
      if (rest_.front() != '"') {
        field += rest_.front();
      } else if (rest_.starts_with("\"\"")) {
        field += '"';
        rest_.remove_prefix(1);
      } else {
        rest_.remove_prefix(1);
        return field;
      }
    }
    return refuse("a quote is not closed");
  }

  std::string_view rest_;
  std::size_t line_ = 1;
  std::size_t next_line_ = 1;
};

Result<Rows> parse_csv(std::string_view text) {
  CsvReader reader(text);
  Table table;
  std::vector<std::string> names;
  while (!reader.at_end()) {
    auto fields = reader.record();
    const std::string line = "line " + std::to_string(reader.line()) + ": ";
    if (!fields) return refuse(line + fields.error().detail);
    if (fields->size() == 1 && fields->front().empty()) continue;
    if (names.empty()) {
      names = *std::move(fields);
      if (names.size() < 2) return refuse(line + "it needs a key and at least one attribute");
      continue;
    }
    if (fields->size() != names.size()) {
      return refuse(line + std::to_string(fields->size()) + " fields, where the first line has " +
                    std::to_string(names.size()));
    }
    Row row;
    for (std::size_t i = 1; i < names.size(); ++i) {
      if (auto added = add(row, names[i], std::move((*fields)[i])); !added) {
        return refuse(line + added.error().detail);
      }
    }
    if (auto added = add_row(table, std::move(fields->front()), std::move(row)); !added) {
      return refuse(line + added.error().detail);
    }
  }
  if (names.empty()) return refuse("it is empty; the first line has the names of the columns");
  return std::move(table.rows);
}

// A text, a number, true or false as text; nullopt for anything else.
std::optional<std::string> text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_number() || value.is_bool()) return json::serialize(value);
  return std::nullopt;
}

Result<Rows> parse_json(std::string_view text) {
  boost::system::error_code error;
  const json::value document = json::parse({text.data(), text.size()}, error);
  if (error || !document.is_object()) return refuse("it is no JSON object");
  Table table;
  for (const auto& member : document.get_object()) {
    const std::string where = "key '" + std::string(member.key()).substr(0, 80) + "': ";
    if (!member.value().is_object()) return refuse(where + "its value is no object");
    Row row;
    for (const auto& one : member.value().get_object()) {
      auto value = text_of(one.value());
      if (!value) return refuse(where + "attribute " + std::string(one.key()) + " is no text");
      if (auto added = add(row, std::string(one.key()), *std::move(value)); !added) {
        return refuse(where + added.error().detail);
      }
    }
    if (auto added = add_row(table, std::string(member.key()), std::move(row)); !added) {
      return pass(std::move(added));
    }
  }
  return std::move(table.rows);
}

std::optional<std::string> text_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return text;
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (const auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  return std::nullopt;
}

Result<Rows> parse_toml(std::string_view text) {
  toml::table document;
  try {
    document = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return refuse("line " + std::to_string(error.source().begin.line) +
                  ": this is not TOML: " + std::string(error.description()));
  }
  Table all;
  for (const auto& [key, node] : document) {
    const std::string where = "line " + std::to_string(key.source().begin.line) + ": ";
    const toml::table* table = node.as_table();
    if (table == nullptr) return refuse(where + "this stands outside of every [KEY]");
    Row row;
    for (const auto& [name, value] : *table) {
      auto word = text_of(value);
      if (!word) return refuse(where + "attribute " + std::string(name.str()) + " is no text");
      if (auto added = add(row, std::string(name.str()), *std::move(word)); !added) {
        return refuse(where + added.error().detail);
      }
    }
    if (auto added = add_row(all, std::string(key.str()), std::move(row)); !added) {
      return refuse(where + added.error().detail);
    }
  }
  return std::move(all.rows);
}

}  // namespace

std::optional<LookupFormat> lookup_format(std::string_view path) {
  if (path.ends_with(".csv")) return LookupFormat::csv;
  if (path.ends_with(".json")) return LookupFormat::json;
  if (path.ends_with(".toml")) return LookupFormat::toml;
  return std::nullopt;
}

Result<Rows> parse_lookup(LookupFormat format, std::string_view text) {
  switch (format) {
    case LookupFormat::csv:
      return parse_csv(text);
    case LookupFormat::json:
      return parse_json(text);
    case LookupFormat::toml:
      return parse_toml(text);
  }
  return Rows{};
}

Result<std::shared_ptr<LookupFile>> LookupFile::open(core::Runtime& runtime, core::Workers& disk,
                                                     std::string path) {
  std::shared_ptr<LookupFile> file(new LookupFile(runtime, disk, std::move(path)));
  file->read_state_ = file->state();
  auto rows = file->read();
  if (!rows) return pass(std::move(rows));
  file->rows_ = *std::move(rows);
  file->look_again_ = runtime.steady_now() + kLookEvery;
  return file;
}

std::string LookupFile::state() const {
  struct stat facts{};
  if (::stat(path_.c_str(), &facts) != 0) return {};
  return std::to_string(facts.st_ino) + " " + std::to_string(facts.st_size) + " " +
         std::to_string(facts.st_mtim.tv_sec) + "." + std::to_string(facts.st_mtim.tv_nsec);
}

Result<LookupFile::RowsPtr> LookupFile::read() const {
  auto file = read_local_file(path_, kFileBytesMax);
  if (!file) return pass(std::move(file));
  auto rows =
      parse_lookup(lookup_format(path_).value_or(LookupFormat::csv), core::as_text(file->bytes));
  if (!rows) return refuse(path_ + ": " + rows.error().detail);
  return std::make_shared<const Rows>(*std::move(rows));
}

Task<Result<LookupFile::RowsPtr>> LookupFile::rows() {
  if (looking_ || runtime_.steady_now() < look_again_) co_return rows_;
  looking_ = true;
  std::string now;
  Result<RowsPtr> fresh;
  co_await disk_.run([&] {
    now = state();
    if (now != read_state_) fresh = read();
  });
  if (now != read_state_) {
    if (fresh) {
      spdlog::info("lookup {}: read again, {} keys", path_, (*fresh)->size());
      std::swap(rows_, *fresh);
      co_await disk_.run([&] { fresh->reset(); });  // many small pieces
    } else {
      spdlog::error("lookup: {}; the contents before are used on", fresh.error().detail);
    }
    read_state_ = std::move(now);
  }
  look_again_ = runtime_.steady_now() + kLookEvery;
  looking_ = false;
  co_return rows_;
}

}  // namespace daybook::api
