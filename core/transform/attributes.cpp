#include "core/transform/attributes.hpp"

#include <algorithm>
#include <set>

#include <boost/json.hpp>

#include "core/json_events.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::core::transform {
namespace {

namespace json = boost::json;

constexpr std::string_view kContext = "context.";
constexpr std::string_view kIdempotencyKey = "idempotency_key";

// The envelope's own members; null for a free attribute.
std::string Envelope::* member_of(std::string_view name) {
  if (name == "source") return &Envelope::source;
  if (name == "type") return &Envelope::type;
  if (name == "subject") return &Envelope::subject;
  if (name == "id") return &Envelope::event_id;
  if (name == kIdempotencyKey) return &Envelope::idempotency_key;
  return nullptr;
}

Failure refuse(std::string detail) {
  return fail(Code::invalid_argument, Origin::self, Retry::never, std::move(detail));
}

bool is_bad_text(const std::string& text) {
  return text.size() > limits::kAttributeBytesMax || !is_utf8(text) || text.contains('\0');
}

// Of a name that may be anything, for messages.
std::string quoted(std::string_view name) {
  constexpr std::size_t kShown = 80;
  if (!is_utf8(name) || name.size() > kShown) return "one of its attributes";
  return "attribute '" + std::string(name) + "'";
}

// Of an object's own names, the first that stands there twice. json::parse would keep one of them.
std::optional<std::string> repeated_name(std::string_view text) {
  JsonEvents events;
  events.watch_to_depth(1);
  events.feed(as_bytes(text));
  events.finish();
  std::set<std::string, std::less<>> seen;
  JsonEvent event;
  while (events.next(event) == JsonEvents::Step::event) {
    if (event.kind != JsonEvent::Kind::key) continue;
    std::string name = events.key().value_or("");
    if (seen.contains(name)) return name;
    seen.insert(std::move(name));
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> attribute(const Envelope& envelope, std::string_view name) {
  if (const auto member = member_of(name)) {
    return (envelope.*member).empty() ? std::nullopt : std::optional(envelope.*member);
  }
  const bool of_context = name.starts_with(kContext);
  const auto& all = of_context ? envelope.context : envelope.attributes;
  const auto found = all.find(std::string(of_context ? name.substr(kContext.size()) : name));
  if (found == all.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

void set_attribute(Envelope& envelope, const std::string& name, std::string value) {
  if (const auto member = member_of(name)) {
    envelope.*member = std::move(value);
    return;
  }
  const bool of_context = name.starts_with(kContext);
  auto& all = of_context ? envelope.context : envelope.attributes;
  const std::string key = of_context ? name.substr(kContext.size()) : name;
  if (value.empty()) {
    all.erase(key);
  } else {
    all[key] = std::move(value);
  }
}

bool is_settable(std::string_view name) {
  constexpr std::size_t kBytesMax = 64;
  return !name.empty() && name.size() <= kBytesMax && !name.starts_with(kContext) &&
         name != kIdempotencyKey && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

void forget_key_of(const Envelope& before, Envelope& after) {
  if (before.source == after.source && before.event_id == after.event_id) return;
  if (before.event_id.empty() || !before.idempotency_key.contains(before.event_id)) return;
  after.idempotency_key.clear();
}

Result<void> check_attributes(const Envelope& envelope) {
  for (const char* name : {"source", "type", "subject", "id"}) {
    if (is_bad_text(envelope.*member_of(name))) {
      return refuse(std::string("attribute '") + name + "' is no UTF-8 text of at most " +
                    format_size(limits::kAttributeBytesMax));
    }
  }
  if (envelope.attributes.size() > limits::kAttributesMax) {
    return refuse("there are " + std::to_string(envelope.attributes.size()) +
                  " attributes, more than " + std::to_string(limits::kAttributesMax));
  }
  for (const auto& [name, value] : envelope.attributes) {
    if (is_bad_text(name) || is_bad_text(value)) {
      return refuse(quoted(name) + " is no UTF-8 text of at most " +
                    format_size(limits::kAttributeBytesMax));
    }
  }
  if (to_json(envelope).size() > limits::kEnvelopeBytesMax) {
    return refuse("the attributes are too large together");
  }
  return {};
}

bool matches(std::string_view pattern, std::string_view text) {
  // Where the last star was, and what of the text it has taken so far.
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;
  std::size_t p = 0;
  std::size_t t = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string attributes_json(const Envelope& envelope) {
  json::object object;
  for (const char* name : {"source", "type", "subject", "id"}) {
    const std::string& text = envelope.*member_of(name);
    if (!text.empty()) object[name] = text;
  }
  for (const auto& [name, value] : envelope.attributes) object[name] = value;
  return json::serialize(object);
}

Result<void> replace_attributes(Envelope& envelope, std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return refuse("the answer is no JSON object");
  if (const auto name = repeated_name(text)) {
    return refuse("the answer has " + quoted(*name) + " twice");
  }
  Envelope next = envelope;
  next.source = next.type = next.subject = next.event_id = "";
  next.attributes.clear();
  if (value.get_object().size() > limits::kAttributesMax + 4) {
    return refuse("the answer has " + std::to_string(value.get_object().size()) +
                  " attributes, more than " + std::to_string(limits::kAttributesMax));
  }
  for (const auto& member : value.get_object()) {
    const std::string name(member.key());
    // What came in stays, whatever its name.
    if (!is_settable(name) && !envelope.attributes.contains(name)) {
      return refuse("the answer has " + quoted(name) +
                    ": a name has 1 to 64 letters, digits, '.', '_' and '-'");
    }
    if (member.value().is_null()) continue;
    if (!member.value().is_string()) return refuse(quoted(name) + " of the answer is no text");
    std::string held(member.value().get_string());
    if (is_settable(name)) {
      set_attribute(next, name, std::move(held));
    } else if (!held.empty()) {
      next.attributes[name] = std::move(held);
    }
  }
  envelope = std::move(next);
  return {};
}

}  // namespace daybook::core::transform
