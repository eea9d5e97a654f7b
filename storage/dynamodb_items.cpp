#include "storage/dynamodb_items.hpp"

#include <charconv>
#include <limits>
#include <utility>

#include <boost/json.hpp>

#include "core/text.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using core::MetadataRow;
using core::Origin;
using core::Result;
using core::Retry;

json::object number_text(std::string_view digits) {
  return {{"N", digits}};
}

void put_text(json::object& item, std::string_view name, std::string_view text) {
  if (!text.empty()) item[name] = dynamodb_text(text);
}

std::optional<std::uint64_t> parse_number(std::string_view digits) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

// The only member of {"S":…}, if it is of that type and a text.
std::optional<std::string_view> typed(const json::value& value, std::string_view type) {
  const json::object* object = value.if_object();
  const json::value* found = object == nullptr ? nullptr : object->if_contains(type);
  if (found == nullptr || !found->is_string()) return std::nullopt;
  return std::string_view(found->get_string());
}

std::optional<std::string> text_value(const json::value& value) {
  if (const auto text = typed(value, "S")) return std::string(*text);
  const auto base64 = typed(value, "B");
  if (!base64) return std::nullopt;
  const auto bytes = core::from_base64(*base64);
  if (!bytes) return std::nullopt;
  return std::string(core::as_text(*bytes));
}

std::optional<std::vector<std::uint32_t>> frames_of(const json::object& item) {
  std::vector<std::uint32_t> frames;
  const json::value* found = item.if_contains("frames");
  if (found == nullptr) return frames;
  const json::object* typed_list = found->if_object();
  const json::value* list = typed_list == nullptr ? nullptr : typed_list->if_contains("L");
  if (list == nullptr || !list->is_array()) return std::nullopt;
  for (const json::value& size : list->get_array()) {
    const auto digits = typed(size, "N");
    const auto number = digits ? parse_number(*digits) : std::nullopt;
    if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    frames.push_back(static_cast<std::uint32_t>(*number));
  }
  return frames;
}

std::optional<std::map<std::string, std::string>> texts_of(const json::object& item,
                                                           std::string_view name) {
  std::map<std::string, std::string> attributes;
  const json::value* found = item.if_contains(name);
  if (found == nullptr) return attributes;
  const json::object* typed_map = found->if_object();
  const json::value* map = typed_map == nullptr ? nullptr : typed_map->if_contains("M");
  if (map == nullptr || !map->is_object()) return std::nullopt;
  for (const auto& member : map->get_object()) {
    auto text = text_value(member.value());
    if (!text) return std::nullopt;
    attributes.emplace(member.key(), std::move(*text));
  }
  return attributes;
}

void put_texts(json::object& item, std::string_view name,
               const std::map<std::string, std::string>& texts) {
  if (texts.empty()) return;
  json::object members;
  for (const auto& [key, text] : texts) members[key] = dynamodb_text(text);
  item[name] = json::object{{"M", std::move(members)}};
}

// Clocks may step back, so it may be less than none.
void put_distance(json::object& item, std::string_view name,
                  const std::optional<core::WallTime>& time, core::WallTime from) {
  if (time) item[name] = number_text(std::to_string((*time - from).count()));
}

// false: there is a value, and it is no time.
bool read_distance(const json::object& item, std::string_view name, core::WallTime from,
                   std::optional<core::WallTime>& time) {
  const json::value* found = item.if_contains(name);
  if (found == nullptr) return true;
  const auto digits = typed(*found, "N");
  if (!digits) return false;
  std::int64_t distance = 0;
  const auto [end, error] =
      std::from_chars(digits->data(), digits->data() + digits->size(), distance);
  if (error != std::errc{} || end != digits->data() + digits->size()) return false;
  time = from + std::chrono::microseconds(distance);
  return true;
}

std::size_t value_bytes(const json::object& value);

std::size_t elements_bytes(const json::value& elements) {
  std::size_t bytes = 3;  // of a list or map itself, and one more for each element
  if (elements.is_array()) {
    for (const json::value& element : elements.get_array()) {
      bytes += 1 + value_bytes(element.get_object());
    }
  } else {
    for (const auto& member : elements.get_object()) {
      bytes += 1 + member.key().size() + value_bytes(member.value().get_object());
    }
  }
  return bytes;
}

// Only of values made here.
std::size_t value_bytes(const json::object& value) {
  const auto& typed_value = *value.begin();
  if (!typed_value.value().is_string()) return elements_bytes(typed_value.value());
  const std::size_t size = typed_value.value().get_string().size();
  if (typed_value.key() == "N") return size / 2 + 2;
  return typed_value.key() == "B" ? size / 4 * 3 : size;
}

}  // namespace

json::object dynamodb_text(std::string_view text) {
  if (core::is_utf8(text)) return {{"S", text}};
  return {{"B", core::to_base64(core::as_bytes(text))}};
}

json::object dynamodb_number(std::uint64_t number) {
  return number_text(std::to_string(number));
}

std::optional<std::string> text_of(const json::object& item, std::string_view name) {
  const json::value* found = item.if_contains(name);
  return found == nullptr ? std::nullopt : text_value(*found);
}

std::optional<std::uint64_t> number_of(const json::object& item, std::string_view name) {
  const json::value* found = item.if_contains(name);
  const auto digits = found == nullptr ? std::nullopt : typed(*found, "N");
  return digits ? parse_number(*digits) : std::nullopt;
}

std::string window_of(core::RecordId id) {
  return id.str().substr(0, kWindowDigits);
}

std::string shard_bucket(std::string_view window, unsigned shard) {
  return std::string(window) + "-" + std::to_string(shard);
}

std::string bucket_of(core::RecordId id) {
  return shard_bucket(window_of(id), id.bytes()[15] % kShards);
}

std::string tenant_bucket(std::string_view tenant, std::string_view bucket) {
  return core::percent_encode(tenant) + "#" + std::string(bucket);
}

std::string directory_bucket(const std::optional<std::string>& tenant) {
  return tenant ? "windows#" + core::percent_encode(*tenant) : "windows";
}

json::object dynamodb_key(std::string_view bucket, std::string_view id) {
  return {{kBucket, dynamodb_text(bucket)}, {kId, dynamodb_text(id)}};
}

Result<json::object> item_of(const MetadataRow& row, std::uint64_t feed_after) {
  const core::Envelope& envelope = row.envelope;
  const std::string bucket = bucket_of(envelope.id);
  json::object item = dynamodb_key(bucket, envelope.id.str());
  put_text(item, kTenantBucket, tenant_bucket(envelope.tenant, bucket));
  put_text(item, "tenant", envelope.tenant);
  put_text(item, "source", envelope.source);
  put_text(item, "event_id", envelope.event_id);
  put_text(item, "type", envelope.type);
  put_text(item, "subject", envelope.subject);
  if (envelope.event_time) put_text(item, "event_time", core::format_time(*envelope.event_time));
  put_text(item, "received_at", core::format_time(envelope.received_at));
  put_text(item, "content_type", envelope.content_type);
  item["size"] = dynamodb_number(envelope.size);
  item["stored_size"] = dynamodb_number(row.stored_size);
  put_text(item, "sha256", envelope.sha256.hex());
  put_text(item, "stored_sha256", row.stored_sha256.hex());
  item["data_offset"] = dynamodb_number(row.data_offset);
  if (!envelope.frames.empty()) {
    json::array frames;
    for (const std::uint32_t size : envelope.frames) frames.push_back(dynamodb_number(size));
    item["frames"] = json::object{{"L", std::move(frames)}};
  }
  put_text(item, "object_key", row.object_key);
  const std::string& location = row.object_location;
  if (!row.object_key.empty() && location.ends_with(row.object_key)) {
    put_text(item, "object_base", location.substr(0, location.size() - row.object_key.size()));
  } else {
    put_text(item, "object_location", location);
  }
  put_text(item, "object_version", row.object_version);
  item["partition"] = dynamodb_number(envelope.partition);
  put_text(item, "position", row.position);
  put_text(item, "state", row.state);
  item["attempts"] = dynamodb_number(row.attempts);
  put_text(item, "durability", envelope.durability);
  put_text(item, "idempotency_key", envelope.idempotency_key);
  put_texts(item, "attributes", envelope.attributes);
  put_texts(item, "context", envelope.context);
  put_distance(item, "started_us", row.started_at, envelope.received_at);
  put_distance(item, "archived_us", row.archived_at, envelope.received_at);
  put_text(item, "indexed_at", core::format_time(row.indexed_at));
  item[kFeedAfter] = dynamodb_number(feed_after);

  const std::size_t bytes = item_bytes(item);
  if (bytes <= kItemBytesMax && text_of(item, kTenantBucket)->size() <= kIndexKeyBytesMax) {
    return item;
  }
  return core::fail(Code::too_large, Origin::metadata, Retry::never,
                    "The metadata of record " + envelope.id.str() + " has " +
                        std::to_string(bytes) + " bytes; DynamoDB takes " +
                        std::to_string(kItemBytesMax) + " and a tenant's name of about 2000.");
}

Result<MetadataRow> row_of_item(const json::object& item) {
  const auto text = [&](std::string_view name) { return text_of(item, name).value_or(""); };
  const auto damaged = [&](std::string_view name) {
    return core::fail(Code::damaged, Origin::metadata, Retry::never,
                      "The metadata item " + text(kId) + " has an unusable " + std::string(name) +
                          "; restore the table from a backup.");
  };
  const auto time = [&](std::string_view name) { return core::parse_time(text(name)); };
  const auto id = core::RecordId::parse(text(kId));
  const auto received_at = time("received_at");
  const auto indexed_at = time("indexed_at");
  const auto sha256 = core::Sha256::from_hex(text("sha256"));
  const auto stored_sha256 = core::Sha256::from_hex(text("stored_sha256"));
  auto frames = frames_of(item);
  auto attributes = texts_of(item, "attributes");
  auto context = texts_of(item, "context");
  if (!id) return damaged("id");
  if (!received_at) return damaged("received_at");
  if (!indexed_at) return damaged("indexed_at");
  if (!sha256) return damaged("sha256");
  if (!stored_sha256) return damaged("stored_sha256");
  if (!frames) return damaged("frames");
  if (!attributes) return damaged("attributes");
  if (!context) return damaged("context");
  for (const std::string_view name :
       {"size", "stored_size", "data_offset", "partition", "attempts"}) {
    if (!number_of(item, name)) return damaged(name);
  }

  MetadataRow row;
  core::Envelope& envelope = row.envelope;
  envelope.id = *id;
  envelope.tenant = text("tenant");
  envelope.source = text("source");
  envelope.event_id = text("event_id");
  envelope.type = text("type");
  envelope.subject = text("subject");
  if (item.contains("event_time")) {
    envelope.event_time = time("event_time");
    if (!envelope.event_time) return damaged("event_time");
  }
  envelope.received_at = *received_at;
  envelope.content_type = text("content_type");
  envelope.size = *number_of(item, "size");
  envelope.sha256 = *sha256;
  envelope.frames = std::move(*frames);
  envelope.partition = static_cast<std::uint32_t>(*number_of(item, "partition"));
  envelope.durability = text("durability");
  envelope.idempotency_key = text("idempotency_key");
  envelope.attributes = std::move(*attributes);
  envelope.context = std::move(*context);
  row.stored_size = *number_of(item, "stored_size");
  row.stored_sha256 = *stored_sha256;
  row.data_offset = *number_of(item, "data_offset");
  row.object_key = text("object_key");
  row.object_location =
      item.contains("object_base") ? text("object_base") + row.object_key : text("object_location");
  row.object_version = text("object_version");
  row.position = text("position");
  row.state = text("state");
  row.attempts = static_cast<std::uint32_t>(*number_of(item, "attempts"));
  if (!read_distance(item, "started_us", envelope.received_at, row.started_at)) {
    return damaged("started_us");
  }
  if (!read_distance(item, "archived_us", envelope.received_at, row.archived_at)) {
    return damaged("archived_us");
  }
  row.indexed_at = *indexed_at;
  return row;
}

std::size_t item_bytes(const json::object& item) {
  std::size_t bytes = 0;
  for (const auto& member : item) {
    bytes += member.key().size() + value_bytes(member.value().get_object());
  }
  return bytes;
}

}  // namespace daybook::storage
