// Report: the rows that the sections measured, as a table for people and as one JSON object.
// A row's members keep their order; the names carry the units.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

namespace daybook::bench::roofline {

using Row = boost::json::object;

class Report {
 public:
  explicit Report(bool json) : json_(json) {}

  template <class T>
  void set(std::string_view name, const T& value) {
    document_[name] = boost::json::value_from(value);
  }
  // Rows and skips belong to the section that began last.
  void begin_section(std::string_view name, std::string_view title);
  void add(Row row);
  void skip(const std::string& reason);
  // The JSON document or, as text was printed line by line, what was skipped.
  void finish() const;

 private:
  void print_row(const Row& row);

  const bool json_;
  std::string section_;
  std::string columns_;  // of the table that is being printed
  boost::json::object document_;
  boost::json::array skipped_;
};

// Rounded so that a table and a result line stay readable: three decimals below 10, else one.
[[nodiscard]] double rounded(double value);

}  // namespace daybook::bench::roofline
