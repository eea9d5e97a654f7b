// Filter: which records a subscriber is told of. Every term must hold. A value that ends with '*'
// is a prefix, every other one is the whole text; no term means every record.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/envelope.hpp"
#include "core/result.hpp"

namespace daybook::core::delivery {

class Filter {
 public:
  // Names: tenant, source, type, subject, content_type and attribute.NAME, which is an attribute of
  // the record. The error says which name is unknown and what it may be.
  static Result<Filter> parse(const std::map<std::string, std::string>& terms);

  [[nodiscard]] bool matches(const Envelope& envelope) const;

 private:
  struct Term {
    std::string name;
    bool of_attribute = false;  // name is an attribute's
    std::string text;
    bool prefix = false;
  };
  std::vector<Term> terms_;
};

}  // namespace daybook::core::delivery
