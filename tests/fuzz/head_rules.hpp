// Rules that hold for every input of the two head parsers, checked on whatever the fuzzer finds.
#pragma once

#include <variant>

#include "core/check.hpp"
#include "core/http/head_parser.hpp"
#include "core/limits.hpp"

namespace daybook::core::http::fuzz {

// A cut never changes the answer: a front of an accepted head needs more, a front of a refused one
// needs more or is refused with the same words, and what needs more says so for every front.
template <class Head>
void check_fronts(Bytes input, auto parse) {
  const std::variant<NeedMore, Parsed<Head>, Refused> whole = parse(input);
  const auto* parsed = std::get_if<Parsed<Head>>(&whole);
  const auto* refused = std::get_if<Refused>(&whole);
  if (parsed != nullptr) {
    CHECK(parsed->consumed <= input.size() && parsed->consumed <= limits::kHeadBytesMax);
    CHECK(as_text(input.first(parsed->consumed)).ends_with("\r\n"));
    CHECK(std::holds_alternative<Parsed<Head>>(parse(input.first(parsed->consumed))));
  }
  if (refused != nullptr) CHECK(refused->status >= 400 && !refused->detail.empty());
  if (std::holds_alternative<NeedMore>(whole)) CHECK(input.size() < limits::kHeadBytesMax);

  const std::size_t end = parsed != nullptr ? parsed->consumed : input.size();
  const std::size_t step = end / 32 + 1;  // enough cuts, quickly
  for (std::size_t cut = 0; cut < end; cut += step) {
    const auto front = parse(input.first(cut));
    CHECK((!std::holds_alternative<Parsed<Head>>(front)));
    if (const auto* early = std::get_if<Refused>(&front)) {
      CHECK(refused != nullptr && refused->status == early->status);
      CHECK(refused->detail == early->detail);
    }
  }
}

// What no accepted field line may hold, and what the framing must be made of.
inline void check_fields(const Fields& fields, int minor_version) {
  CHECK(fields.lines().size() <= limits::kHeaderFieldsMax);
  for (const auto& [name, value] : fields.lines()) {
    CHECK(!name.empty() && name.find_first_of(" \t\r\n:") == std::string::npos);
    CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    CHECK(value.empty() || (value.front() != ' ' && value.back() != '\t'));
  }
  CHECK(fields.count("content-length") + fields.count("transfer-encoding") <= 1);
  CHECK(minor_version == 1 || fields.count("transfer-encoding") == 0);
}

}  // namespace daybook::core::http::fuzz
