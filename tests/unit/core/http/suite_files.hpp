// Where the published suites are, and their files as JSON. Absent suites are a visible skip.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "core/text.hpp"
#include "core/units.hpp"

namespace daybook::core::http::testing {

// DAYBOOK_SHARED, or "shared" beside the source directory.
inline std::filesystem::path suite_path(std::string_view name) {
  const char* shared = std::getenv("DAYBOOK_SHARED");
  const std::filesystem::path base =
      shared != nullptr ? std::filesystem::path(shared)
                        : std::filesystem::path(DAYBOOK_SOURCE_DIR).parent_path() / "shared";
  return base / "suites" / name;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::vector<boost::json::object> read_json_lines(const std::filesystem::path& path) {
  std::vector<boost::json::object> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) rows.push_back(boost::json::parse(line).as_object());
  }
  return rows;
}

inline std::string text_of(const boost::json::object& row, std::string_view key) {
  return std::string(row.at(key).as_string());
}

inline std::string decode_base64(const boost::json::object& row, std::string_view key) {
  const auto bytes = from_base64(text_of(row, key));
  return bytes ? std::string(as_text(*bytes)) : std::string();
}

}  // namespace daybook::core::http::testing

// For the first line of a test: skips where the suite is not there.
#define DAYBOOK_NEEDS_SUITE(path)                                                      \
  if (!std::filesystem::exists(path)) {                                                \
    GTEST_SKIP() << "no suite at " << (path) << "; set DAYBOOK_SHARED to have it run"; \
  }
