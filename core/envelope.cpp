#include "core/envelope.hpp"

#include <array>
#include <cstdio>

#include <boost/json.hpp>

#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::core {
namespace {

namespace json = boost::json;

Failure damaged(std::string detail) {
  return fail(Code::damaged, Origin::self, Retry::never, "envelope: " + std::move(detail));
}

// Reads members of one object; the first thing that is wrong is kept and everything after is moot.
class Reader {
 public:
  explicit Reader(const json::object& object) : object_(object) {}

  std::string text(std::string_view name) {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr) return {};
    if (!value->is_string()) return wrong<std::string>(name, "text");
    return std::string(value->get_string());
  }
  std::uint64_t number(std::string_view name) {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr) return wrong<std::uint64_t>(name, "a number");
    boost::system::error_code error;
    const auto number = value->to_number<std::uint64_t>(error);
    return error ? wrong<std::uint64_t>(name, "a whole number") : number;
  }
  template <class T>
  T required(std::string_view name, std::optional<T> parsed) {
    return parsed ? *parsed : wrong<T>(name, "well-formed");
  }
  template <class T>
  T wrong(std::string_view name, std::string_view expected) {
    if (problem_.empty()) problem_ = "'" + std::string(name) + "' is not " + std::string(expected);
    return {};
  }
  [[nodiscard]] const json::object& object() const { return object_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  const json::object& object_;
  std::string problem_;
};

std::vector<std::uint32_t> read_frames(Reader& reader) {
  const json::value* value = reader.object().if_contains("frames");
  if (value == nullptr || !value->is_array()) {
    return reader.wrong<std::vector<std::uint32_t>>("frames", "an array");
  }
  std::vector<std::uint32_t> frames;
  for (const json::value& frame : value->get_array()) {
    boost::system::error_code error;
    frames.push_back(frame.to_number<std::uint32_t>(error));
    if (error) return reader.wrong<std::vector<std::uint32_t>>("frames", "an array of sizes");
  }
  return frames;
}

using Texts = std::map<std::string, std::string>;

Texts read_texts(Reader& reader, std::string_view name) {
  Texts texts;
  const json::value* value = reader.object().if_contains(name);
  if (value == nullptr) return texts;
  if (!value->is_object()) return reader.wrong<Texts>(name, "an object");
  for (const auto& member : value->get_object()) {
    if (!member.value().is_string()) return reader.wrong<Texts>(name, "an object of texts");
    texts.emplace(member.key(), member.value().get_string());
  }
  return texts;
}

void add_texts(json::object& object, std::string_view name, const Texts& texts) {
  if (texts.empty()) return;
  json::object members;
  for (const auto& [key, value] : texts) members[key] = value;
  object[name] = std::move(members);
}

struct Extension {
  std::string_view media_type;
  std::string_view extension;
};
constexpr std::array kExtensions = {
    Extension{"application/json", "json"},
    Extension{"application/x-ndjson", "ndjson"},
    Extension{"application/ndjson", "ndjson"},
    Extension{"application/jsonl", "ndjson"},
    Extension{"application/cloudevents+json", "json"},
    Extension{"text/plain", "txt"},
    Extension{"text/csv", "csv"},
    Extension{"text/html", "html"},
    Extension{"application/xml", "xml"},
    Extension{"text/xml", "xml"},
    Extension{"application/pdf", "pdf"},
    Extension{"application/zip", "zip"},
    Extension{"application/gzip", "gz"},
    Extension{"application/x-tar", "tar"},
    Extension{"image/png", "png"},
    Extension{"image/jpeg", "jpg"},
    Extension{"image/tiff", "tiff"},
    Extension{"message/rfc822", "eml"},
    Extension{"application/x-evtx", "evtx"},
};

std::string_view extension_of(std::string_view content_type) {
  const std::string type = http::media_type(content_type);
  for (const Extension& known : kExtensions) {
    if (type == known.media_type) return known.extension;
  }
  if (type.ends_with("+json")) return "json";
  if (type.ends_with("+xml")) return "xml";
  return "bin";
}

}  // namespace

std::string to_json(const Envelope& envelope) {
  json::object object;
  object["id"] = envelope.id.str();
  object["tenant"] = envelope.tenant;
  const auto add_text = [&object](std::string_view name, const std::string& text) {
    if (!text.empty()) object[name] = text;
  };
  add_text("source", envelope.source);
  add_text("event_id", envelope.event_id);
  add_text("type", envelope.type);
  add_text("subject", envelope.subject);
  if (envelope.event_time) object["event_time"] = format_time(*envelope.event_time);
  add_text("content_type", envelope.content_type);
  object["size"] = envelope.size;
  object["sha256"] = envelope.sha256.hex();
  object["received_at"] = format_time(envelope.received_at);
  object["durability"] = envelope.durability;
  object["partition"] = envelope.partition;
  add_text("idempotency_key", envelope.idempotency_key);
  add_texts(object, "attributes", envelope.attributes);
  add_texts(object, "context", envelope.context);
  object["frames"] = json::array(envelope.frames.begin(), envelope.frames.end());
  return json::serialize(object);
}

Result<Envelope> envelope_from_json(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return damaged("not a JSON object");
  Reader reader(value.get_object());
  Envelope envelope;
  envelope.id = reader.required("id", RecordId::parse(reader.text("id")));
  envelope.tenant = reader.text("tenant");
  envelope.source = reader.text("source");
  envelope.event_id = reader.text("event_id");
  envelope.type = reader.text("type");
  envelope.subject = reader.text("subject");
  if (const std::string time = reader.text("event_time"); !time.empty()) {
    envelope.event_time = reader.required("event_time", parse_time(time));
  }
  envelope.content_type = reader.text("content_type");
  envelope.size = reader.number("size");
  envelope.sha256 = reader.required("sha256", Sha256::from_hex(reader.text("sha256")));
  envelope.received_at = reader.required("received_at", parse_time(reader.text("received_at")));
  envelope.durability = reader.text("durability");
  const std::uint64_t partition = reader.number("partition");
  if (partition >= limits::kPartitionsMax) return damaged("'partition' is out of range");
  envelope.partition = static_cast<std::uint32_t>(partition);
  envelope.idempotency_key = reader.text("idempotency_key");
  envelope.attributes = read_texts(reader, "attributes");
  envelope.context = read_texts(reader, "context");
  envelope.frames = read_frames(reader);
  if (!reader.problem().empty()) return damaged(reader.problem());
  if (envelope.frames.size() !=
      (envelope.size / limits::kBlockBytes) + (envelope.size % limits::kBlockBytes != 0 ? 1 : 0)) {
    return damaged("'frames' does not fit 'size'");
  }
  return envelope;
}

std::string object_key(const Envelope& envelope, std::string_view prefix) {
  const std::string time = format_time(envelope.received_at);
  std::string key(prefix);
  if (!key.empty() && !key.ends_with('/')) key.push_back('/');
  key += percent_encode(envelope.tenant) + "/";
  key += time.substr(0, 4) + "/" + time.substr(5, 2) + "/" + time.substr(8, 2) + "/" +
         time.substr(11, 2) + "/";
  key += envelope.id.str() + "." + std::string(extension_of(envelope.content_type)) + ".zst";
  return key;
}

}  // namespace daybook::core
