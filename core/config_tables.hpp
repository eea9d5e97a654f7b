// The tables of the configuration that may occur more than once: [[poller]], [[subscriber]] and
// [[transform]] with its steps. Each is a struct of the rows of its own .def file; loading and
// checking is api/config_tables.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace daybook::core {

// A secret is named by its file, so that nobody who reads the configuration reads it.
struct SecretFile {
  std::string path;
  std::string text;  // as it was at start; never printed

  friend auto operator<=>(const SecretFile&, const SecretFile&) = default;
};

using FieldText = std::string;
using FieldPath = std::string;
using FieldSize = std::uint64_t;  // bytes
using FieldTime = std::chrono::milliseconds;
using FieldCount = std::uint64_t;
using FieldFlag = bool;
using FieldList = std::vector<std::string>;
using FieldTable = std::map<std::string, std::string>;
using FieldSecretFile = SecretFile;
using FieldSecretFiles = std::map<std::string, SecretFile>;

struct ConfigTable {
  std::string where;                         // "daybook.toml:12"
  std::map<std::string, std::string> given;  // a field that was given -> where

  // Where a field was given, or else the table itself.
  [[nodiscard]] const std::string& place_of(const std::string& field) const {
    const auto found = given.find(field);
    return found == given.end() ? where : found->second;
  }
  [[nodiscard]] bool has(const std::string& field) const { return given.contains(field); }
};

// A row `FIELD(url, Text, …)` is the member `url`.
#define FIELD(name, kind, fallback, min, max, help) Field##kind name{};
#define REQUIRED(name, kind, example, min, max, help) Field##kind name{};

struct PollerConfig : ConfigTable {
#include "core/poller.def"
};

struct SubscriberConfig : ConfigTable {
#include "core/subscriber.def"
};

struct TransformStepConfig : ConfigTable {
#include "core/transform_step.def"
};

struct TransformConfig : ConfigTable {
#include "core/transform.def"
  std::vector<TransformStepConfig> steps;
};

#undef FIELD
#undef REQUIRED

}  // namespace daybook::core
