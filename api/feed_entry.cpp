#include "api/feed_entry.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "core/frame.hpp"
#include "core/http/fields.hpp"
#include "core/json_events.hpp"
#include "core/limits.hpp"
#include "core/segment.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::Code;
using core::Result;
using core::Task;

constexpr core::Duration kReadTimeout = std::chrono::seconds(30);
constexpr std::uint64_t kAroundRecord = 512;  // names, number, time, href
constexpr const char* kTooLarge = "larger than inline_max";

std::uint64_t base64_size(std::uint64_t bytes) {
  return (bytes + 2) / 3 * 4;
}

bool is_inlined(const TailEntry& entry, PayloadWish wish) {
  return wish.form == FeedPayload::inlined && entry.row().envelope.size <= wish.inline_max;
}

// RFC 8259 section 7: what must be escaped, and U+007F, which some tools dislike, is left alone.
std::size_t escaped_size(char c) {
  if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t') return 2;
  return static_cast<unsigned char>(c) < 0x20 ? 6 : 1;
}

void append_escaped(std::string& text, std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char c : bytes) {
    switch (c) {
      case '"':
        text += "\\\"";
        break;
      case '\\':
        text += "\\\\";
        break;
      case '\n':
        text += "\\n";
        break;
      case '\r':
        text += "\\r";
        break;
      case '\t':
        text += "\\t";
        break;
      default:
        if (escaped_size(c) == 1) {
          text += c;
        } else {
          text += "\\u00";
          text += kDigits[static_cast<unsigned char>(c) >> 4U];
          text += kDigits[static_cast<unsigned char>(c) & 0xFU];
        }
    }
  }
}

bool is_message_inlined(const TailEntry& entry, PayloadWish wish) {
  return is_inlined(entry, wish) && says_json(entry.row().envelope.content_type);
}

std::string href_of(const core::RecordId& id) {
  return "/v1/records/" + id.str() + "/payload";
}

bool is_lost(const core::Error& error) {
  return error.code == Code::not_found || error.code == Code::damaged ||
         error.code == Code::invalid_argument;
}

// Nothing behind it could be read any more if it were an error.
std::string lost(const core::Envelope& envelope, const core::Error& error) {
  spdlog::error("record {} cannot be given inline: {}", envelope.id.str(), error.detail);
  return core::to_utf8(error.detail);
}

std::uint64_t frames_length(const core::Envelope& envelope) {
  return std::accumulate(envelope.frames.begin(), envelope.frames.end(), std::uint64_t{0});
}

// The frames of a stored object's data, one after the other.
Result<core::ByteVector> decompressed(const core::Envelope& envelope, core::Bytes stored) {
  core::ByteVector payload;
  payload.reserve(envelope.size);
  for (std::size_t i = 0; i < envelope.frames.size(); ++i) {
    const std::size_t size = std::min<std::uint64_t>(core::limits::kBlockBytes,
                                                     envelope.size - i * core::limits::kBlockBytes);
    const auto block = core::decompress_frame(stored.first(envelope.frames[i]), size);
    if (!block) return pass(block);
    payload.insert(payload.end(), block->begin(), block->end());
    stored = stored.subspan(envelope.frames[i]);
  }
  return payload;
}

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(core::to_utf8(text));
}

}  // namespace

std::string payload_member(core::Bytes payload) {
  const std::string_view bytes = core::as_text(payload);
  std::size_t escaped = 0;
  for (const char c : bytes) escaped += escaped_size(c);
  std::string member;
  if (escaped <= base64_size(bytes.size()) && core::is_utf8(bytes)) {
    member.reserve(escaped + 10);
    member += "\"text\":\"";
    append_escaped(member, bytes);
  } else {
    member = "\"base64\":\"" + core::to_base64(payload);
  }
  member += '"';
  return member;
}

std::string payload_json_text(core::Bytes payload) {
  core::JsonEvents events;
  events.watch_to_depth(0);
  events.feed(payload);
  events.finish();
  using Step = core::JsonEvents::Step;
  core::JsonEvent event;
  Step step = Step::event;
  while (step == Step::event) step = events.next(event);
  return step == Step::wrong ? std::string() : std::string(core::as_text(payload));
}

bool says_json(std::string_view content_type) {
  const std::string type = core::http::media_type(content_type);
  return type == "application/json" || type == "text/json" || type.ends_with("+json");
}

std::uint64_t FeedEntries::size_of_entry(const TailEntry& entry, PayloadWish wish) {
  const std::uint64_t payload =
      is_inlined(entry, wish) ? base64_size(entry.row().envelope.size) : 0;
  return entry.record_json().size() + kAroundRecord + payload;
}

std::uint64_t FeedEntries::size_of_message(const TailEntry& entry, PayloadWish wish) {
  const core::Envelope& envelope = entry.row().envelope;
  const std::uint64_t reference = kAroundRecord + envelope.content_type.size();
  return is_message_inlined(entry, wish) ? std::max(reference, envelope.size) : reference;
}

Task<Result<std::string>> FeedEntries::entry(std::shared_ptr<const TailEntry> entry,
                                             PayloadWish wish) {
  const auto payload = co_await payload_json(entry, wish);
  if (!payload) co_return pass(payload);
  co_return "{\"sequence\":" + std::to_string(entry->sequence()) + ",\"published_at\":\"" +
      core::format_time(entry->published_at()) + "\",\"record\":" + entry->record_json() +
      ",\"payload\":" + *payload + "}";
}

Task<Result<std::string>> FeedEntries::message(std::shared_ptr<const TailEntry> entry,
                                               PayloadWish wish) {
  const core::Envelope& envelope = entry->row().envelope;
  std::string omitted;
  if (is_message_inlined(*entry, wish)) {
    auto text = co_await payload_as(entry, payload_json_text);
    if (text && !text->empty()) co_return text;
    if (!text && !is_lost(text.error())) co_return text;
    omitted =
        text ? "it cannot be read as JSON, whatever its type says" : lost(envelope, text.error());
  } else if (wish.form == FeedPayload::inlined) {
    omitted = says_json(envelope.content_type) ? kTooLarge : "its type is not JSON";
  }
  json::object message = {{"id", envelope.id.str()},
                          {"timestamp", core::format_time(envelope.received_at)},
                          {"contentType", text_or_null(envelope.content_type)},
                          {"size", envelope.size},
                          {"href", href_of(envelope.id)}};
  if (!omitted.empty()) message["omitted"] = omitted;
  std::string text = json::serialize(message);
  if (wish.form == FeedPayload::link) {
    auto link = co_await link_json(entry);
    if (!link) co_return link;
    text.insert(text.size() - 1, *link);
  }
  co_return text;
}

Task<Result<std::string>> FeedEntries::payload_json(std::shared_ptr<const TailEntry> entry,
                                                    PayloadWish wish) {
  const core::Envelope& envelope = entry->row().envelope;
  std::string text = "{\"href\":\"" + href_of(envelope.id) + "\"";
  if (wish.form == FeedPayload::inlined) {
    std::string omitted = kTooLarge;
    if (is_inlined(*entry, wish)) {
      const auto member = co_await payload_as(entry, payload_member);
      if (!member && !is_lost(member.error())) co_return pass(member);
      omitted = member ? "" : lost(envelope, member.error());
      if (member) text += "," + *member;
    }
    if (!omitted.empty()) text += ",\"omitted\":" + json::serialize(json::value(omitted));
  }
  if (wish.form == FeedPayload::link) {
    auto link = co_await link_json(entry);
    if (!link) co_return link;
    text += *link;
  }
  co_return text + "}";
}

// Of a segment only the record's own frames: the other records are not for whoever has the link.
Task<Result<std::string>> FeedEntries::link_json(std::shared_ptr<const TailEntry> entry) {
  const core::MetadataRow& row = entry->row();
  const core::ByteRange frames{row.data_offset, frames_length(row.envelope)};
  const bool shared = core::segment_of_key(row.object_key).has_value();
  const auto link = co_await objects_.link(row.object_key, row.object_version,
                                           shared ? std::optional(frames) : std::nullopt,
                                           link_valid_, runtime_.steady_now() + kReadTimeout);
  if (!link && link.error().code == Code::unsupported) co_return std::string();
  if (!link) co_return pass(link);
  json::object description = {{"url", link->url},
                              {"expires_at", core::format_time(link->expires_at)},
                              {"content_encoding", "zstd"},
                              {"size", shared ? frames.length : row.stored_size}};
  if (shared) description["headers"] = json::object{{"Range", link->range}};
  co_return ",\"link\":" + json::serialize(description);
}

Task<Result<std::string>> FeedEntries::payload_as(std::shared_ptr<const TailEntry> entry,
                                                  std::string (*form)(core::Bytes)) {
  const core::MetadataRow& row = entry->row();
  const std::uint64_t length = frames_length(row.envelope);
  Result<core::ByteVector> stored;
  if (length != 0) {
    stored = co_await objects_.get(row.object_key, core::ByteRange{row.data_offset, length},
                                   runtime_.steady_now() + kReadTimeout);
  }
  if (!stored) co_return pass(stored);
  if (stored->size() != length) {
    co_return core::fail(Code::damaged, core::Origin::object_store, core::Retry::never,
                         "The object of record " + row.envelope.id.str() + " ends too early.");
  }
  Result<std::string> text;
  co_await workers_.run([&] {
    const auto payload = decompressed(row.envelope, *stored);
    stored->clear();
    text = payload ? Result<std::string>(form(*payload)) : Result<std::string>(pass(payload));
  });
  co_return text;
}

}  // namespace daybook::api
