#include "core/polling/element.hpp"

#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::core::polling {
namespace {

Failure refuse(std::string detail) {
  return fail(Code::invalid_argument, Origin::client, Retry::never, std::move(detail));
}

// An id that is too long for a key stands for itself by its digest.
std::string key_text(const ElementRules& rules, const std::string& id) {
  const std::string plain = "poller:" + rules.poller + ":id:" + id;
  if (plain.size() + 1 + 2 * sizeof(Sha256) <= limits::kIdempotencyKeyBytesMax) return plain;
  return "poller:" + rules.poller + ":id-sha256:" + sha256(as_bytes(id)).hex();
}

// The value at the pointer, as an attribute; empty where there is none, or a null.
Result<std::string> attribute_at(Bytes element, const std::string& name,
                                 const JsonPointer& pointer) {
  const auto found = find_json(element, pointer);
  if (!found && found.error().code == Code::not_found) return std::string();
  if (found && found->type == 'n') return std::string();
  auto text = found ? json_text(*found) : Result<std::string>(Failure(found.error()));
  if (!text)
    return refuse("attribute " + name + " at " + pointer.str() + ": " + text.error().detail);
  if (text->size() > limits::kAttributeBytesMax || text->contains('\0')) {
    return refuse("attribute " + name + " at " + pointer.str() + " is no text of at most " +
                  format_size(limits::kAttributeBytesMax));
  }
  return text;
}

Result<void> set_attribute(Envelope& envelope, const std::string& name, std::string text) {
  if (text.empty()) return {};
  if (name == "type") {
    envelope.type = std::move(text);
  } else if (name == "source") {
    envelope.source = std::move(text);
  } else if (name == "subject") {
    envelope.subject = std::move(text);
  } else if (name == "id") {
    envelope.event_id = std::move(text);
  } else if (name == "time") {
    envelope.event_time = parse_time(text);
    if (!envelope.event_time) return refuse("attribute time: '" + text + "' is no RFC 3339 time");
  } else {
    envelope.attributes[name] = std::move(text);
  }
  return {};
}

}  // namespace

Result<PolledRecord> record_of(const ElementRules& rules, Bytes element, const Sha256& digest,
                               bool is_json, std::string_view content_type) {
  PolledRecord record;
  Envelope& envelope = record.envelope;
  envelope.tenant = rules.tenant;
  envelope.type = rules.type;
  envelope.source = rules.source;
  envelope.subject = rules.subject;
  envelope.attributes = rules.attributes;
  envelope.content_type = rules.content_type.empty() ? content_type : rules.content_type;
  envelope.context = {{"door", "poller"}, {"poller", rules.poller}};
  std::string key = "poller:" + rules.poller + ":sha256:" + digest.hex();
  if (rules.id && is_json) {
    const auto found = find_json(element, *rules.id);
    auto id = found ? json_text(*found) : Result<std::string>(Failure(found.error()));
    if (!id) return refuse("its id: " + id.error().detail);
    if (id->empty()) return refuse("its id: it is empty");
    if (id->contains('\0')) return refuse("its id: it holds NUL");
    key = key_text(rules, *id);
    if (id->size() <= limits::kAttributeBytesMax) envelope.event_id = *std::move(id);
  }
  for (const auto& [name, pointer] : rules.paths) {
    if (!is_json) break;
    auto text = attribute_at(element, name, pointer);
    if (!text) return pass(std::move(text));
    if (auto set = set_attribute(envelope, name, *std::move(text)); !set)
      return pass(std::move(set));
  }
  // Escapes make it larger than its texts; there must be room for what is added.
  if (to_json(envelope).size() > limits::kEnvelopeBytesMax / 2) {
    return refuse("its attributes are too large together");
  }
  envelope.idempotency_key = key;
  record.key = {rules.tenant, std::move(key)};
  return record;
}

IdempotencyKey key_of_change(const IdempotencyKey& key, const Sha256& digest) {
  return {key.tenant, key.key + ":" + digest.hex()};
}

}  // namespace daybook::core::polling
