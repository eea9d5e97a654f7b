// The tables of the configuration that may occur more than once ([[poller]], [[subscriber]],
// [[transform]]): their fields, one per row of their .def files, and how they come out of TOML and
// go back into text. They come from the configuration file only.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include <boost/json/fwd.hpp>

#include "api/config_settings.hpp"
#include "core/config.hpp"
#include "core/result.hpp"

namespace daybook::api {

struct Field : Rule {  // section: the table's word in messages ("poller")
  bool required;
  SettingValue (*get)(const core::ConfigTable&);
  void (*set)(core::ConfigTable&, const SettingValue&);
};

// In the order of the .def file.
[[nodiscard]] std::span<const Field> fields_of(const core::PollerConfig&);
[[nodiscard]] std::span<const Field> fields_of(const core::SubscriberConfig&);
[[nodiscard]] std::span<const Field> fields_of(const core::TransformConfig&);
[[nodiscard]] std::span<const Field> fields_of(const core::TransformStepConfig&);

// "poller", "subscriber", "transform".
[[nodiscard]] std::span<const std::string_view> table_names();

// Reads [[name]] of a file; problems are added as lines "FILE:LINE: what is wrong".
void read_tables(std::string_view name, const std::string& file, const toml::node& node,
                 core::Config& config, std::vector<std::string>& problems);

// What no single row can say (config_table_rules.cpp); each sentence begins with the place.
[[nodiscard]] std::vector<std::string> broken_table_rules(const core::Config& config);

// A commented example of every table.
[[nodiscard]] std::string default_tables_toml();
// The effective tables with their origin; what a secret's file holds is never printed.
[[nodiscard]] std::string effective_tables_toml(const core::Config& config);
// Adds "poller": [{"name": {"value": …, "origin": …, "where": …}, …}, …] and the others.
void add_tables_json(const core::Config& config, boost::json::object& document);

// A secret file's text without its last line break. Errors: cannot be read, open to every user,
// empty, or it has a control character.
[[nodiscard]] core::Result<std::string> read_secret_file(const std::string& path);

// "orders-2": the names of tables.
[[nodiscard]] bool is_table_name(std::string_view text);

}  // namespace daybook::api
