#include "core/json_pointer.hpp"

#include <charconv>

#include "core/text.hpp"

namespace daybook::core {
namespace {

Failure refuse(Code code, std::string detail) {
  return fail(code, Origin::client, Retry::never, std::move(detail));
}

// RFC 6901 section 4: digits without a leading zero.
std::optional<std::uint64_t> array_index(std::string_view token) {
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc{} || end != token.data() + token.size()) return std::nullopt;
  if (token.size() > 1 && token.front() == '0') return std::nullopt;
  return index;
}

}  // namespace

Result<JsonPointer> JsonPointer::parse(std::string_view text) {
  JsonPointer pointer;
  if (!is_utf8(text)) return refuse(Code::invalid_argument, "a JSON Pointer is UTF-8");
  if (!text.empty() && !text.starts_with('/')) {
    return refuse(Code::invalid_argument, "'" + std::string(text) +
                                              "' is no JSON Pointer: it begins with /, as in "
                                              "/items or /meta/next");
  }
  while (!text.empty()) {
    text.remove_prefix(1);
    std::string token;
    for (; !text.empty() && text.front() != '/'; text.remove_prefix(1)) {
      if (text.front() != '~') {
        token += text.front();
        continue;
      }
      if (!text.starts_with("~0") && !text.starts_with("~1")) {
        return refuse(Code::invalid_argument,
                      "in a JSON Pointer ~ stands for itself as ~0, and / as ~1");
      }
      text.remove_prefix(1);
      token += text.front() == '0' ? '~' : '/';
    }
    pointer.tokens_.push_back(std::move(token));
  }
  if (pointer.tokens_.size() >= limits::kJsonDepthMax) {
    return refuse(Code::too_large,
                  "the JSON Pointer is longer than any JSON that is taken is deep");
  }
  return pointer;
}

std::string JsonPointer::prefix(std::size_t count) const {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += '/';
    for (const char c : tokens_[i]) {
      if (c == '~') {
        text += "~0";
      } else if (c == '/') {
        text += "~1";
      } else {
        text += c;
      }
    }
  }
  return text;
}

JsonPath::JsonPath(JsonPointer pointer) : pointer_(std::move(pointer)) {
  for (const std::string& token : pointer_.tokens()) indexes_.push_back(array_index(token));
}

bool JsonPath::on(const JsonEvent& event, const JsonEvents& events) {
  if (event.depth > levels_.size()) return false;  // below something that is not on the way
  if (event.kind == JsonEvent::Kind::end) {
    if (event.depth < levels_.size()) levels_.resize(event.depth);
    return false;
  }
  if (event.kind == JsonEvent::Kind::key) {
    levels_.back().key_fits = events.key() == pointer_.tokens()[event.depth - 1];
    return false;
  }
  if (event.depth > 0 && !leads_on(event)) return false;
  if (event.depth >= deepest_) {
    deepest_ = event.depth;
    deepest_type_ = event.type;
  }
  if (event.depth == depth()) {
    found_ = true;
    return true;
  }
  if (event.type == '{' || event.type == '[') {
    levels_.push_back({.is_object = event.type == '{'});
  }
  return false;
}

// Whether the value that begins is the next one on the way.
bool JsonPath::leads_on(const JsonEvent& event) {
  Level& level = levels_.back();
  if (!level.is_object) return level.members++ == indexes_[event.depth - 1];
  if (!level.key_fits) return false;
  if (level.seen) {
    ambiguous_ = true;
    return false;
  }
  level.seen = true;
  return true;
}

std::string JsonPath::why_not() const {
  const std::string here = deepest_ == 0 ? "the document" : pointer_.prefix(deepest_);
  const std::string token = "'" + pointer_.tokens()[deepest_] + "'";
  std::string why = here + " is neither an object nor an array";
  if (deepest_type_ == '{') why = here + " has no member " + token;
  if (deepest_type_ == '[') why = here + " is an array without a member " + token;
  return "nothing is at " + pointer_.str() + ": " + why;
}

Result<JsonFound> find_json(Bytes text, const JsonPointer& pointer) {
  JsonEvents events;
  JsonPath path(pointer);
  events.watch_to_depth(path.depth());
  events.feed(text);
  events.finish();
  JsonFound found;
  std::uint64_t begin = 0;
  bool open = false;
  JsonEvent event;
  for (auto step = events.next(event); step != JsonEvents::Step::more; step = events.next(event)) {
    if (step == JsonEvents::Step::wrong) return Failure(events.error());
    if (path.on(event, events)) {
      begin = event.offset;
      found.type = event.type;
      open = true;
    } else if (open && event.kind == JsonEvent::Kind::end && event.depth == path.depth()) {
      found.bytes = text.subspan(begin, event.offset - begin);
      open = false;
    }
  }
  if (path.ambiguous()) {
    return refuse(Code::invalid_argument,
                  "a name on the way to " + pointer.str() + " stands twice");
  }
  if (!path.found()) return refuse(Code::not_found, path.why_not());
  return found;
}

Result<std::string> json_text(const JsonFound& value) {
  const std::string_view text = as_text(value.bytes);
  switch (value.type) {
    case '"':
      if (auto decoded = json_unescape(text.substr(1, text.size() - 2))) return *std::move(decoded);
      return refuse(Code::unsupported, "the text has half of a surrogate pair");
    case '0':
    case 't':
    case 'f':
      return std::string(text);
    case 'n':
      return refuse(Code::unsupported, "it is null");
    default:
      return refuse(Code::unsupported, value.type == '[' ? "it is an array, not a text"
                                                         : "it is an object, not a text");
  }
}

}  // namespace daybook::core
