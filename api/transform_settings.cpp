#include "api/transform_settings.hpp"

#include <algorithm>
#include <array>

#include "api/config_settings.hpp"
#include "api/http_transformer.hpp"
#include "api/lookup_file.hpp"
#include "api/poller_settings.hpp"
#include "core/limits.hpp"
#include "core/transform/attributes.hpp"

namespace daybook::api {
namespace {

using core::TransformConfig;
using core::TransformStepConfig;
namespace transform = core::transform;

constexpr std::array<std::string_view, 7> kOperations = {"add",  "rename", "drop", "hash",
                                                         "copy", "lookup", "http"};

// Which fields belong to which operation, beside the operation's own.
struct Field {
  std::string_view name;
  std::vector<std::string_view> with;
};
const std::vector<Field>& fields() {
  static const std::vector<Field> all = {{"value", {"add"}},
                                         {"to", {"rename", "copy", "hash"}},
                                         {"replace", {"add", "rename", "copy", "lookup"}},
                                         {"missing", {"rename", "drop", "hash", "copy", "lookup"}},
                                         {"salt_file", {"hash"}},
                                         {"key", {"lookup"}},
                                         {"take", {"lookup"}},
                                         {"timeout", {"http"}},
                                         {"ca_file", {"http"}},
                                         {"headers", {"http"}},
                                         {"header_files", {"http"}},
                                         {"allow_private", {"http"}}};
  return all;
}

constexpr std::size_t kSaltBytesMin = 16;

// The operation a step has; empty where it has none, or several.
std::string_view operation_of(const TransformStepConfig& step) {
  std::string_view found;
  for (const std::string_view name : kOperations) {
    if (!step.has(std::string(name))) continue;
    if (!found.empty()) return "";
    found = name;
  }
  return found;
}

class Checker {
 public:
  explicit Checker(std::vector<std::string>& broken) : broken_(broken) {}

  void check(const TransformConfig& config);

 private:
  void check_step(const TransformStepConfig& step);
  void check_operation(const TransformStepConfig& step, std::string_view operation);
  void check_copy(const TransformStepConfig& step);
  void check_lookup(const TransformStepConfig& step);
  void check_http(const TransformStepConfig& step);
  void settable(const TransformStepConfig& step, const std::string& field, const std::string& name);
  void named(const TransformStepConfig& step, const std::string& field, const std::string& name);
  void problem(const core::ConfigTable& table, const std::string& section, const std::string& field,
               const std::string& what) {
    broken_.push_back(table.place_of(field) + ": " + section + "." + field + ": " + what + ".");
  }

  std::vector<std::string>& broken_;
};

void Checker::check(const TransformConfig& config) {
  constexpr std::array<std::string_view, 5> kWhen = {"door", "poller", "tenant", "source", "type"};
  for (const auto& [name, pattern] : config.when) {
    if (std::ranges::find(kWhen, name) != kWhen.end()) continue;
    problem(config, "transform", "when",
            toml_quote(name) + " is none of door, poller, tenant, source and type");
  }
  if (config.steps.empty()) {
    problem(config, "transform", "steps",
            "there are none. Example: [[transform.steps]] with drop = \"phone\"");
  }
  for (const TransformStepConfig& step : config.steps) check_step(step);
}

void Checker::check_step(const TransformStepConfig& step) {
  const std::string_view operation = operation_of(step);
  if (operation.empty()) {
    broken_.push_back(step.where +
                      ": step: it has exactly one of add, rename, drop, hash, copy, lookup and "
                      "http.");
    return;
  }
  for (const Field& field : fields()) {
    const std::string name(field.name);
    if (!step.has(name) || std::ranges::find(field.with, operation) != field.with.end()) continue;
    problem(step, "step", name, "it means nothing with " + std::string(operation));
  }
  check_operation(step, operation);
}

void Checker::check_operation(const TransformStepConfig& step, std::string_view operation) {
  if (operation == "add") {
    settable(step, "add", step.add);
    if (step.value.empty() || step.value.size() > core::limits::kAttributeBytesMax) {
      problem(step, "step", "value", "it has 1 byte to 1 KiB; drop removes an attribute");
    }
  } else if (operation == "rename") {
    named(step, "rename", step.rename);
    settable(step, "to", step.to);
    if (step.rename == step.to) problem(step, "step", "to", "it is the name it has already");
  } else if (operation == "drop") {
    named(step, "drop", step.drop);
    if (step.drop.starts_with("context.") && step.drop.contains('*')) {
      problem(step, "step", "drop", "* stands for any free attribute; name each context.NAME");
    }
  } else if (operation == "hash") {
    named(step, "hash", step.hash);
    settable(step, step.to.empty() ? "hash" : "to", step.to.empty() ? step.hash : step.to);
    if (step.salt_file.text.size() < kSaltBytesMin) {
      problem(step, "step", "salt_file",
              "a file with a salt of at least 16 bytes is missing; without one, values are found "
              "out by trying. Make one with: openssl rand -hex 32");
    }
  } else if (operation == "copy") {
    check_copy(step);
  } else if (operation == "lookup") {
    check_lookup(step);
  } else {
    check_http(step);
  }
}

void Checker::check_copy(const TransformStepConfig& step) {
  if (const auto pointer = core::JsonPointer::parse(step.copy); !pointer) {
    problem(step, "step", "copy", pointer.error().detail);
  }
  settable(step, "to", step.to);
}

void Checker::check_lookup(const TransformStepConfig& step) {
  named(step, "key", step.key);
  if (!lookup_format(step.lookup)) {
    problem(step, "step", "lookup",
            toml_quote(step.lookup) + " ends in none of .csv, .json and .toml");
  }
  for (const std::string& name : step.take) {
    settable(step, "take", name);
    if (name == step.key) {
      problem(step, "step", "take", "an attribute must not be looked up by itself");
    }
  }
}

void Checker::check_http(const TransformStepConfig& step) {
  const auto url = io::parse_full_url(step.http);
  if (!url) return problem(step, "step", "http", url.error().detail);
  if (!step.ca_file.empty() && !url->server.https) {
    problem(step, "step", "ca_file", "it means nothing without a URL that begins with https");
  }
  for (const auto& [field, what] : broken_headers(step.headers, step.header_files)) {
    problem(step, "step", field, what);
  }
}

void Checker::settable(const TransformStepConfig& step, const std::string& field,
                       const std::string& name) {
  if (transform::is_settable(name)) return;
  problem(step, "step", field,
          name.empty() ? "the attribute's name is missing"
                       : toml_quote(name) +
                             " cannot be set: a name has 1 to 64 letters, digits, '.', '_' and "
                             "'-', and is neither context.NAME nor idempotency_key");
}

void Checker::named(const TransformStepConfig& step, const std::string& field,
                    const std::string& name) {
  if (name.empty()) problem(step, "step", field, "the attribute's name is missing");
}

// --- building ---

class Builder {
 public:
  Builder(io::IoRuntime& runtime, core::Workers& disk) : runtime_(runtime), disk_(disk) {}

  core::Result<transform::Step> step(const TransformStepConfig& config);

 private:
  io::IoRuntime& runtime_;
  core::Workers& disk_;
  // One for all steps that name the file.
  std::map<std::string, std::shared_ptr<LookupFile>> files_;
};

core::Result<transform::Step> Builder::step(const TransformStepConfig& config) {
  transform::Step step;
  step.replace = config.replace;
  step.missing = config.missing == "park" ? transform::Missing::park : transform::Missing::skip;
  const std::string_view operation = operation_of(config);
  if (operation == "add") step.what = transform::Add{config.add, config.value};
  if (operation == "rename") step.what = transform::Rename{config.rename, config.to};
  if (operation == "drop") step.what = transform::Drop{config.drop};
  if (operation == "hash") {
    step.what = transform::Hash{config.hash, config.to.empty() ? config.hash : config.to,
                                config.salt_file.text};
  }
  if (operation == "copy") {
    step.what = transform::Copy{*core::JsonPointer::parse(config.copy), config.to};
  }
  if (operation == "lookup") {
    auto& file = files_[config.lookup];
    if (!file) {
      auto opened = LookupFile::open(runtime_, disk_, config.lookup);
      if (!opened) {
        return core::fail(opened.error().code, core::Origin::self, core::Retry::never,
                          config.place_of("lookup") + ": step.lookup: " + opened.error().detail);
      }
      file = std::move(*opened);
    }
    step.what = transform::Lookup{file, config.key, config.take};
  }
  if (operation == "http") {
    step.what = transform::Http{std::make_shared<HttpTransformer>(runtime_, disk_, config)};
  }
  return step;
}

}  // namespace

std::vector<std::string> broken_transform_rules(const core::Config& config) {
  std::vector<std::string> broken;
  Checker checker(broken);
  for (const TransformConfig& table : config.transforms) checker.check(table);
  return broken;
}

core::Result<transform::Transforms> open_transforms(const core::Config& config,
                                                    io::IoRuntime& runtime, core::Workers& disk) {
  Builder builder(runtime, disk);
  std::vector<transform::Transform> all;
  for (const TransformConfig& table : config.transforms) {
    transform::Transform one;
    one.name = table.name;
    one.when = table.when;
    for (const TransformStepConfig& step : table.steps) {
      auto built = builder.step(step);
      if (!built) return pass(std::move(built));
      one.steps.push_back(*std::move(built));
    }
    all.push_back(std::move(one));
  }
  return transform::Transforms(std::move(all));
}

}  // namespace daybook::api
