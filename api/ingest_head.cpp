// CloudEvents attributes (HTTP binding 1.0 section 3.1), digest, key, and what Prefer asks for.
#include "api/ingest_head.hpp"

#include <algorithm>
#include <ranges>

#include "api/record_context.hpp"
#include "api/request_body.hpp"
#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

core::Failure refuse(std::string detail, Code code = Code::invalid_argument) {
  return core::fail(code, Origin::client, Retry::never, std::move(detail));
}

// All lines of a list-valued field as one value (RFC 9110 section 5.3).
std::optional<std::string> joined(const core::http::Fields& fields, std::string_view name) {
  std::optional<std::string> value;
  for (const auto& [line_name, line_value] : fields.lines()) {
    if (!core::equals_ignoring_case(line_name, name)) continue;
    value = value ? *value + ", " + line_value : line_value;
  }
  return value;
}

// One ce-* header into the envelope.
Result<void> add_attribute(core::Envelope& envelope, const std::string& name,
                           const std::string& raw) {
  const auto value = core::percent_decode(raw);
  if (!value || !core::is_utf8(*value) || value->find('\0') != std::string::npos) {
    return refuse("Header ce-" + name + " is not percent-encoded UTF-8.");
  }
  if (value->size() > core::limits::kAttributeBytesMax) {
    return refuse("Header ce-" + name + " is longer than " +
                  core::format_size(core::limits::kAttributeBytesMax) +
                  "; put long values into the payload.");
  }
  if (name == "time") {
    envelope.event_time = core::parse_time(*value);
    if (!envelope.event_time) {
      return refuse("Header ce-time must be an RFC 3339 time like 2026-01-31T12:00:00Z.");
    }
    return {};
  }
  std::string* field = name == "id"        ? &envelope.event_id
                       : name == "source"  ? &envelope.source
                       : name == "type"    ? &envelope.type
                       : name == "subject" ? &envelope.subject
                                           : nullptr;
  if (field == nullptr) {
    if (may_carry_secret(name)) {
      return refuse("Header ce-" + name +
                    " may carry a secret by its name, and attributes are shown to everybody who "
                    "sees the record; leave it out, or put it into the payload.");
    }
    if (envelope.attributes.size() >= core::limits::kAttributesMax) {
      return refuse("More than " + std::to_string(core::limits::kAttributesMax) +
                    " ce-* headers; put them into the payload.");
    }
    field = &envelope.attributes[name];
  }
  if (!field->empty()) return refuse("Header ce-" + name + " stands twice; send it once.");
  *field = *value;
  return {};
}

Result<std::optional<core::IdempotencyKey>> read_key(const core::http::Fields& fields,
                                                     core::Envelope& envelope) {
  if (fields.count("Idempotency-Key") > 1) {
    return refuse("Header Idempotency-Key stands twice; send it once.");
  }
  const auto name = fields.find("Idempotency-Key");
  if (!name) return key_of_event(envelope);
  auto key = named_key(*name, envelope);
  if (!key) {
    return refuse("Header Idempotency-Key must have 1 to " +
                  std::to_string(core::limits::kIdempotencyKeyBytesMax) + " bytes of UTF-8.");
  }
  return key;
}

// Prefer (RFC 7240): preferences that are not understood are ignored, as section 2 demands; the
// query parameter is ours and has to be understood.
Result<Level> read_level(const core::http::RequestHead& head) {
  Level level = Level::safe;
  for (const auto& [name, value] : head.fields.lines()) {
    if (!core::equals_ignoring_case(name, "Prefer")) continue;
    for (const auto piece : std::views::split(value, ',')) {
      const std::string_view preference = core::trim(std::string_view(piece));
      constexpr std::string_view kDurability = "durability=";
      if (!core::equals_ignoring_case(preference.substr(0, kDurability.size()), kDurability)) {
        continue;
      }
      std::string_view word = preference.substr(kDurability.size());
      word = word.substr(0, word.find(';'));
      if (word.size() >= 2 && word.front() == '"') word = word.substr(1, word.size() - 2);
      if (const auto known = parse_level(core::trim(word))) level = *known;
    }
  }
  if (const auto wait = core::http::query_parameter(head.query, "wait")) {
    const auto known = parse_level(*wait);
    if (!known) return refuse("Query parameter wait must be archived or indexed.");
    level = *known;
  }
  return level;
}

}  // namespace

std::optional<Level> parse_level(std::string_view word) {
  if (word == "archived") return Level::archived;
  if (word == "indexed") return Level::indexed;
  return std::nullopt;
}

std::optional<core::IdempotencyKey> named_key(std::string_view name, core::Envelope& envelope) {
  if (name.empty() || name.size() > core::limits::kIdempotencyKeyBytesMax || !core::is_utf8(name)) {
    return std::nullopt;
  }
  envelope.idempotency_key = std::string(name);
  return core::IdempotencyKey{envelope.tenant, "key " + envelope.idempotency_key};
}

std::optional<core::IdempotencyKey> key_of_event(core::Envelope& envelope) {
  if (envelope.source.empty() || envelope.event_id.empty()) return std::nullopt;
  envelope.idempotency_key = envelope.source + " " + envelope.event_id;
  // With the length in front no two pairs make the same key.
  return core::IdempotencyKey{envelope.tenant, "ce " + std::to_string(envelope.source.size()) +
                                                   " " + envelope.idempotency_key};
}

Result<void> check_attributes(const core::Envelope& envelope) {
  const auto is_bad = [](const std::string& text) {
    return text.size() > core::limits::kAttributeBytesMax || !core::is_utf8(text) ||
           text.contains('\0');
  };
  const std::pair<std::string_view, const std::string&> texts[] = {
      {"source", envelope.source},
      {"id", envelope.event_id},
      {"type", envelope.type},
      {"subject", envelope.subject},
      {"content type", envelope.content_type}};
  for (const auto& [name, text] : texts) {
    if (is_bad(text)) {
      return refuse("The " + std::string(name) + " is no UTF-8 text of at most " +
                    core::format_size(core::limits::kAttributeBytesMax) + ".");
    }
  }
  if (envelope.attributes.size() > core::limits::kAttributesMax) {
    return refuse("More than " + std::to_string(core::limits::kAttributesMax) +
                  " attributes; put them into the payload.");
  }
  for (const auto& [name, text] : envelope.attributes) {
    if (!is_bad(name) && !is_bad(text)) continue;
    return refuse("An attribute is no UTF-8 text of at most " +
                  core::format_size(core::limits::kAttributeBytesMax) + ".");
  }
  return {};
}

Result<std::optional<core::Sha256>> read_digest(const core::http::Fields& fields) {
  std::optional<core::Sha256> found;
  for (const std::string name : {"Content-Digest", "Repr-Digest"}) {
    const auto digest = joined(fields, name);
    if (!digest) continue;
    const auto expected = core::http::parse_content_digest(*digest);
    if (!expected) return refuse("Header " + name + ": " + expected.error().detail);
    if (!*expected) continue;
    if (found && *found != **expected) {
      return refuse("Content-Digest and Repr-Digest of a request are the same, and these differ.");
    }
    found = *expected;
  }
  return found;
}

Result<IngestHead> read_ingest_head(const core::http::RequestHead& head,
                                    const core::Config& config) {
  using core::http::Framing;
  if (head.framing == Framing::none ||
      (head.framing == Framing::length && head.content_length == 0)) {
    return refuse("The request has no body; a record is 1 byte to " +
                  core::format_size(config.ingest_body_bytes_max) + " of payload.");
  }
  const auto coding = core::http::content_coding(head.fields);
  const std::uint64_t bytes_max = coding && *coding != core::http::Coding::identity
                                      ? coded_bytes_max(config.ingest_body_bytes_max)
                                      : config.ingest_body_bytes_max;
  if (head.framing == Framing::length && head.content_length > bytes_max) {
    return refuse("The body has " + std::to_string(head.content_length) + " bytes; at most " +
                      core::format_size(config.ingest_body_bytes_max) +
                      " are taken (ingest.body_bytes_max). Split it into several records.",
                  Code::too_large);
  }
  auto result = read_ingest_fields(head.fields, config);
  if (!result) return result;
  const auto level = read_level(head);
  if (!level) return pass(level);
  result->level = *level;
  return result;
}

Result<IngestHead> read_ingest_fields(const core::http::Fields& fields,
                                      const core::Config& config) {
  IngestHead result;
  result.envelope.tenant = config.ingest_tenant;
  result.envelope.content_type = std::string(fields.find("Content-Type").value_or(""));
  if (!core::is_utf8(result.envelope.content_type)) {
    return refuse("Header Content-Type has bytes that are no UTF-8.");
  }
  for (const auto& [name, value] : fields.lines()) {
    if (name.size() <= 3 || !core::equals_ignoring_case(name.substr(0, 3), "ce-")) continue;
    if (auto added = add_attribute(result.envelope, core::to_lower(name.substr(3)), value);
        !added) {
      return pass(std::move(added));
    }
  }
  const auto digest = read_digest(fields);
  if (!digest) return pass(digest);
  result.expected = *digest;
  auto key = read_key(fields, result.envelope);
  if (!key) return pass(std::move(key));
  result.key = std::move(*key);
  return result;
}

}  // namespace daybook::api
