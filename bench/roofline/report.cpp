#include "bench/roofline/report.hpp"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

namespace daybook::bench::roofline {
namespace {

// Texts of the first column are the longest.
constexpr std::size_t kFirstWidth = 31;
constexpr std::size_t kTextWidth = 13;

std::string cell(const boost::json::value& value) {
  if (value.is_string()) return {value.get_string().begin(), value.get_string().end()};
  if (value.is_double()) return fmt::format("{}", value.get_double());
  return boost::json::serialize(value);
}

// Texts are aligned left, numbers right, below the name of their column.
std::string aligned(std::string_view text, std::string_view column, std::size_t text_width) {
  if (text_width > 0) return fmt::format("{:<{}}", text, text_width);
  return fmt::format("{:>{}}", text, column.size() + 2);
}

}  // namespace

double rounded(double value) {
  const double unit = std::abs(value) < 10 ? 1000 : 10;
  return std::round(value * unit) / unit;
}

void Report::begin_section(std::string_view name, std::string_view title) {
  section_ = name;
  columns_.clear();
  document_[section_] = boost::json::array();
  if (!json_) fmt::print("\n{}: {}\n", name, title);
}

void Report::add(Row row) {
  if (!json_) print_row(row);
  document_[section_].as_array().emplace_back(std::move(row));
}

void Report::print_row(const Row& row) {
  std::string columns, line;
  for (const auto& member : row) {
    const std::string_view name(member.key());
    const std::size_t text_width = columns.empty() ? kFirstWidth : kTextWidth;
    const std::size_t width = member.value().is_string() ? text_width : 0;
    columns += aligned(name, name, width);
    line += aligned(cell(member.value()), name, width);
  }
  if (columns != columns_) fmt::print("  {}\n", columns);
  columns_ = std::move(columns);
  fmt::print("  {}\n", line);
  std::fflush(stdout);
}

void Report::skip(const std::string& reason) {
  if (!json_) fmt::print("  SKIPPED: {}\n", reason);
  skipped_.push_back({{"section", section_}, {"reason", reason}});
}

void Report::finish() const {
  if (json_) {
    boost::json::object document = document_;
    document["skipped"] = skipped_;
    fmt::print("{}\n", boost::json::serialize(document));
  } else if (!skipped_.empty()) {
    fmt::print("\n{} measures were skipped\n", skipped_.size());
  }
}

}  // namespace daybook::bench::roofline
