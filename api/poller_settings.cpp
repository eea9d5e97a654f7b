#include "api/poller_settings.hpp"

#include <algorithm>
#include <array>

#include "api/config_settings.hpp"
#include "api/record_context.hpp"
#include "core/limits.hpp"
#include "core/polling/cursor.hpp"
#include "core/text.hpp"
#include "io/http_client.hpp"

namespace daybook::api {
namespace {

using core::JsonPointer;
using core::PollerConfig;
namespace polling = core::polling;

// The words of a choice, in the order of its enumeration; the settings table allows no others.
template <class Enum, std::size_t N>
Enum choice(const std::array<std::string_view, N>& words, std::string_view word) {
  return static_cast<Enum>(std::ranges::find(words, word) - words.begin());
}

// Made by us, or of another meaning to HTTP than a value.
constexpr std::array<std::string_view, 10> kOurHeaders = {
    "host", "content-length", "transfer-encoding", "connection",        "expect",
    "te",   "if-match",       "if-none-match",     "if-modified-since", "accept-encoding"};

class Reader {
 public:
  explicit Reader(const PollerConfig& config) : config_(config) {}

  polling::PollRules read(const std::string& default_tenant);
  [[nodiscard]] const std::string& problems() const { return problems_; }

 private:
  void read_url(polling::PollRules& rules);
  void read_elements(polling::PollRules& rules, const std::string& default_tenant);
  void read_cursor(polling::CursorRules& rules);
  void read_next(polling::NextRules& rules, const polling::CursorRules& cursor);
  void check_request();
  JsonPointer pointer(const std::string& field, const std::string& text);
  // A setting that means nothing without another.
  void only_with(const std::string& field, bool given, bool allowed, std::string_view with) {
    if (given && !allowed) problem(field, "it means nothing without " + std::string(with));
  }
  void problem(const std::string& field, const std::string& what) {
    if (!problems_.empty()) problems_ += '\n';
    problems_ += config_.place_of(field) + ": poller." + field + ": " + what + ".";
  }

  const PollerConfig& config_;
  std::string problems_;
};

JsonPointer Reader::pointer(const std::string& field, const std::string& text) {
  auto parsed = JsonPointer::parse(text);
  if (parsed) return *std::move(parsed);
  problem(field, parsed.error().detail);
  return {};
}

polling::PollRules Reader::read(const std::string& default_tenant) {
  constexpr std::array<std::string_view, 4> kForms = {"auto", "json", "ndjson", "raw"};
  polling::PollRules rules;
  rules.name = config_.name;
  rules.form = choice<polling::Form>(kForms, config_.format);
  rules.schedule = {config_.interval, config_.jitter, config_.backoff_max};
  rules.pages_max = config_.pages_max;
  rules.conditional = config_.conditional;
  read_url(rules);
  read_elements(rules, default_tenant);
  read_cursor(rules.cursor);
  read_next(rules.next, rules.cursor);
  check_request();
  return rules;
}

void Reader::read_url(polling::PollRules& rules) {
  const auto url = io::parse_full_url(config_.url);
  if (!url) return problem("url", url.error().detail);
  rules.origin = url->origin();
  rules.target = url->target;
  rules.element.source = url->without_query();
  const bool tls = url->server.https;
  only_with("ca_file", !config_.ca_file.empty(), tls, "a url that begins with https");
  only_with("cert_file", !config_.cert_file.empty(), tls, "a url that begins with https");
  if (config_.cert_file.empty() != config_.key_file.empty()) {
    problem(config_.cert_file.empty() ? "key_file" : "cert_file",
            "cert_file and key_file belong together: set both");
  }
}

void Reader::read_elements(polling::PollRules& rules, const std::string& default_tenant) {
  polling::ElementRules& element = rules.element;
  const bool raw = rules.form == polling::Form::raw;
  rules.elements = pointer("elements", config_.elements);
  only_with("elements", !config_.elements.empty(), !raw && rules.form != polling::Form::lines,
            "an answer that is JSON");
  only_with("id", !config_.id.empty(), !raw, "elements that are JSON");
  if (!config_.id.empty()) element.id = pointer("id", config_.id);
  element.poller = config_.name;
  element.tenant = config_.tenant.empty() ? default_tenant : config_.tenant;
  if (element.tenant.starts_with('.') || !std::ranges::all_of(element.tenant, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
      })) {
    problem("tenant", toml_quote(element.tenant) +
                          " may have letters, digits, '.', '_' and '-', and must not begin with "
                          "'.'");
  }
  if (!config_.source.empty()) element.source = config_.source;
  element.type = config_.type;
  element.subject = config_.subject;
  element.content_type = config_.content_type;
  element.attributes = config_.attributes;
  only_with("attribute_paths", !config_.attribute_paths.empty(), !raw, "elements that are JSON");
  for (const auto& [name, path] : config_.attribute_paths) {
    element.paths[name] = pointer("attribute_paths", path);
  }
  const auto check_secret = [this](const char* field, const std::string& name) {
    if (!may_carry_secret(name)) return;
    problem(field, toml_quote(name) +
                       " may carry a secret by its name, and attributes are shown to everybody who "
                       "sees a record; give it another name if it is none");
  };
  for (const auto& [name, path] : config_.attribute_paths) check_secret("attribute_paths", name);
  for (const auto& [name, text] : config_.attributes) check_secret("attributes", name);
  const auto too_long = [](const std::string& text) {
    return text.size() > core::limits::kAttributeBytesMax;
  };
  for (const auto& [name, text] : config_.attributes) {
    if (too_long(name) || too_long(text)) problem("attributes", "an attribute has at most 1 KiB");
  }
  const std::pair<const char*, const std::string&> texts[] = {
      {"type", element.type},
      {"source", element.source},
      {"subject", element.subject},
      {"content_type", element.content_type}};
  for (const auto& [field, text] : texts) {
    if (too_long(text)) problem(field, "an attribute has at most 1 KiB");
  }
}

void Reader::read_cursor(polling::CursorRules& rules) {
  constexpr std::array<std::string_view, 6> kFrom = {"none", "last",   "first",
                                                     "max",  "answer", "date"};
  constexpr std::array<std::string_view, 4> kFormats = {"text", "rfc3339", "seconds",
                                                        "milliseconds"};
  using polling::CursorFrom;
  rules.from = choice<CursorFrom>(kFrom, config_.cursor);
  rules.format = choice<polling::CursorFormat>(kFormats, config_.cursor_format);
  rules.path = pointer("cursor_path", config_.cursor_path);
  rules.parameter = config_.cursor_parameter;
  rules.start = config_.cursor_start;
  rules.overlap = config_.cursor_overlap;
  const bool any = rules.from != CursorFrom::none;
  const bool by_path = any && rules.from != CursorFrom::date;
  const bool is_time = rules.format != polling::CursorFormat::text;
  only_with("cursor_path", !config_.cursor_path.empty(), by_path,
            "cursor = \"last\", \"first\", \"max\" or \"answer\"");
  only_with("cursor_parameter", !rules.parameter.empty(), any, "cursor");
  only_with("cursor_start", !rules.start.empty(), any, "cursor");
  only_with("cursor_overlap", rules.overlap != core::Duration{}, any && is_time,
            "a cursor_format that is a time");
  if (by_path && config_.cursor_path.empty()) {
    problem("cursor", "cursor_path is missing: a JSON Pointer to the cursor, such as /updated_at");
  }
  if (any && rules.parameter.empty()) {
    problem("cursor", "cursor_parameter is missing: the query parameter that carries the cursor");
  }
  if (rules.from == CursorFrom::date && !is_time) {
    problem("cursor", "with \"date\", cursor_format says which form of time the source takes");
  }
  if (const auto start = polling::sent_cursor(rules, rules.start); !start) {
    problem("cursor_start", start.error().detail);
  }
}

void Reader::read_next(polling::NextRules& rules, const polling::CursorRules& cursor) {
  constexpr std::array<std::string_view, 4> kFrom = {"none", "link", "member", "cursor"};
  using polling::NextFrom;
  rules.from = choice<NextFrom>(kFrom, config_.next);
  rules.path = pointer("next_path", config_.next_path);
  rules.parameter = config_.next_parameter;
  const bool member = rules.from == NextFrom::member;
  only_with("next_path", !config_.next_path.empty(), member, "next = \"member\"");
  only_with("next_parameter", !rules.parameter.empty(), member, "next = \"member\"");
  if (member && config_.next_path.empty()) {
    problem("next", "next_path is missing: a JSON Pointer to the next page, such as /next");
  }
  if (rules.from == NextFrom::cursor && cursor.from == polling::CursorFrom::none) {
    problem("next", "with \"cursor\" there must be a cursor");
  }
  if (rules.from == NextFrom::cursor && cursor.from == polling::CursorFrom::date) {
    problem("next", "cursor = \"date\" never stays, so it cannot say when there is no more");
  }
}

void Reader::check_request() {
  only_with("body", !config_.body.empty(), config_.method == "POST", "method = \"POST\"");
  for (const auto& [field, what] : broken_headers(config_.headers, config_.header_files)) {
    problem(field, what);
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> broken_headers(
    const core::FieldTable& headers, const core::FieldSecretFiles& files) {
  std::vector<std::pair<std::string, std::string>> broken;
  const auto check = [&](const char* field, const std::string& name, const std::string& value) {
    const std::string lower = core::to_lower(name);
    if (std::ranges::find(kOurHeaders, lower) != kOurHeaders.end()) {
      broken.emplace_back(field, name + " is made here and must not be set");
    } else if (field == std::string_view("headers") && may_carry_secret(name)) {
      broken.emplace_back(field, name +
                                     " carries a secret: put its value into a file and name it "
                                     "in header_files");
    }
    const bool good = !name.empty() && std::ranges::all_of(name, [](char c) {
      return c == '-' || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
             (c >= 'A' && c <= 'Z');
    });
    if (!good || std::ranges::any_of(value, [](char c) {
          return static_cast<unsigned char>(c) < 0x20 || c == '\x7F';
        })) {
      broken.emplace_back(field, toml_quote(name) + " is no header field that HTTP can carry");
    }
  };
  for (const auto& [name, value] : headers) check("headers", name, value);
  for (const auto& [name, file] : files) check("header_files", name, "");
  return broken;
}

core::Result<core::polling::PollRules> poll_rules(const PollerConfig& config,
                                                  const std::string& default_tenant) {
  Reader reader(config);
  auto rules = reader.read(default_tenant);
  if (reader.problems().empty()) return rules;
  return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                    reader.problems());
}

}  // namespace daybook::api
