// Any text as a document whose elements are cut out: at once or in pieces gives the same, what is
// cut out is what boost::json finds there, and what it takes is taken.
#include "core/json_elements.hpp"

#include <boost/json.hpp>

#include "core/check.hpp"

using namespace daybook;  // NOLINT: one program

namespace {

struct Outcome {
  std::vector<std::string> elements;
  std::vector<std::uint64_t> offsets;
  std::string error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome split(std::string_view text, const core::JsonElements::Settings& settings,
              std::size_t piece) {
  core::JsonElements elements(settings);
  Outcome outcome;
  const auto drain = [&] {
    for (;;) {
      const auto next = elements.next();
      if (!next) {
        outcome.error = next.error().detail;
        CHECK(!outcome.error.empty());
        return false;
      }
      if (!*next) return true;
      const core::JsonElement& element = **next;
      CHECK(element.index == outcome.elements.size());
      if (!element.bytes.empty()) {
        CHECK(core::as_text(element.bytes) == text.substr(element.offset, element.size));
      } else {
        CHECK(element.bad && element.size > settings.element_bytes_max);
      }
      outcome.elements.push_back(element.bad ? element.bad->detail
                                             : std::string(core::as_text(element.bytes)));
      outcome.offsets.push_back(element.offset);
    }
  };
  for (std::size_t at = 0; at < text.size(); at += piece) {
    // A copy: a view that outlives its piece is seen.
    const std::string copy(text.substr(at, piece));
    elements.feed(core::as_bytes(copy));
    if (!drain()) return outcome;
  }
  elements.finish();
  drain();
  return outcome;
}

void check_against_boost(std::string_view text, const Outcome& outcome) {
  boost::json::parse_options options;
  options.max_depth = core::limits::kJsonDepthMax;
  boost::system::error_code error;
  const auto value = boost::json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return;  // it refuses more: numbers beyond a double, halves of surrogate pairs
  CHECK(outcome.error.empty());
  const auto check_one = [&](const boost::json::value& member, const std::string& bytes) {
    CHECK(boost::json::parse(bytes, {}, options) == member);
  };
  if (!value.is_array()) {
    CHECK(outcome.elements.size() == 1);
    return check_one(value, outcome.elements.front());
  }
  CHECK(outcome.elements.size() == value.get_array().size());
  for (std::size_t i = 0; i < outcome.elements.size(); ++i) {
    check_one(value.get_array()[i], outcome.elements[i]);
  }
}

}  // namespace

// The first byte says how large the pieces are, the first line (to \n) is a pointer.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = 1 + data[0] % 64;
  std::string_view text = core::as_text(std::as_bytes(std::span(data, size))).substr(1);
  const std::size_t line = std::min(text.find('\n'), text.size());
  const auto pointer = core::JsonPointer::parse(text.substr(0, line));
  text.remove_prefix(std::min(line + 1, text.size()));
  using Form = core::JsonElements::Form;
  core::JsonElements::Settings settings{
      .form = Form::json, .array = {}, .one_is_enough = true, .element_bytes_max = core::MiB};
  const Outcome whole = split(text, settings, text.size() + 1);
  CHECK(whole == split(text, settings, piece));
  check_against_boost(text, whole);
  settings.element_bytes_max = piece;
  CHECK(split(text, settings, text.size() + 1) == split(text, settings, piece));
  if (pointer) {
    CHECK(core::JsonPointer::parse(pointer->str()) == *pointer);
    settings.array = *pointer;
    const Outcome inner = split(text, settings, text.size() + 1);
    CHECK(inner == split(text, settings, piece));
    const auto found = core::find_json(core::as_bytes(text), *pointer);
    if (found && pointer->tokens().size() > 0 && found->type == '[') {
      CHECK(inner.error.empty());
      settings.array = {};
      CHECK(split(core::as_text(found->bytes), settings, piece).elements == inner.elements);
    }
    if (found) (void)core::json_text(*found);
  }
  settings.form = Form::lines;
  CHECK(split(text, settings, text.size() + 1) == split(text, settings, piece));
  return 0;
}
