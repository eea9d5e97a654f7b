#include "core/message_reader.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace daybook::core {
namespace {

constexpr std::string_view kMetadata = "messageMetaData";
constexpr std::string_view kPayload = "messagePayload";

constexpr std::array<std::string_view, 4> kRequired = {"messageType", "sourceSystemID",
                                                       "sourceTransactionID", "dateTime"};
constexpr std::array<std::string_view, 6> kKnown = {"messageType",         "sourceSystemID",
                                                    "sourceTransactionID", "dateTime",
                                                    "contentType",         "payloadEncoding"};

// An escape takes up to six bytes for one.
constexpr std::size_t kValueTextMax = 6 * limits::kAttributeBytesMax + 2;

std::string in_metadata(std::string_view name) {
  return std::string(kMetadata) + "." + std::string(name);
}

// Names of further metadata become names of attributes.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::kContextHeaderNameBytesMax &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

}  // namespace

std::optional<WallTime> parse_message_time(std::string_view text) {
  constexpr std::size_t kSeconds = std::string_view("2026-11-21 04:05:06").size();
  if (text.size() < kSeconds || text[10] != ' ') return parse_time(text);
  const std::string_view fraction = text.substr(kSeconds);
  const bool bare = fraction.find_first_not_of(".0123456789") == std::string_view::npos;
  if (!bare) return parse_time(text);
  if (fraction.size() > std::string_view(".123456").size()) return std::nullopt;
  // A point without digits is what %f gives for none.
  return parse_time(std::string(text.substr(0, kSeconds)) +
                    (fraction == "." ? "" : std::string(fraction)) + "Z");
}

MessageReader::MessageReader() {
  events_.watch_to_depth(2);
  events_.refuse_half_pairs();
}

Failure MessageReader::wrong(std::uint64_t offset, std::string_view what) const {
  return fail(Code::invalid_argument, Origin::client, Retry::never,
              "byte " + std::to_string(offset) + ": " + std::string(what));
}

Result<void> MessageReader::feed(Bytes piece) {
  if (failed_) return Failure(*failed_);
  const bool payload_went_on = payload_begun() && !payload_ended();
  base_ += piece_.size();
  piece_ = piece;
  events_.feed(piece);
  JsonEvent event;
  Result<void> read;
  JsonEvents::Step step = events_.next(event);
  for (; step == JsonEvents::Step::event; step = events_.next(event)) {
    if (read = on_event(event); !read) break;
  }
  if (step == JsonEvents::Step::wrong) read = Failure(events_.error());
  const std::uint64_t end = base_ + piece.size();
  const std::uint64_t from = payload_went_on ? base_ : payload_begin_.value_or(end);
  const std::uint64_t to = payload_begun() ? payload_end_.value_or(end) : end;
  // After the payload has ended in an earlier piece, nothing of it is left.
  const bool any = payload_begun() && to > base_ && from < to;
  payload_ = any ? piece.subspan(from - base_, to - from) : Bytes{};
  if (read && value_begin_) {
    const std::uint64_t begin = std::max(*value_begin_, base_);
    value_ += as_text(piece.subspan(begin - base_));
    if (value_.size() > kValueTextMax) {
      read = wrong(*value_begin_, in_metadata(member_) + " is too long");
    }
  }
  if (read) read = keep_outside(piece, base_);
  if (!read) failed_ = read.error();
  return read;
}

Result<void> MessageReader::keep_outside(Bytes piece, std::uint64_t base) {
  const std::uint64_t end = base + piece.size();
  const std::uint64_t begin = payload_begin_.value_or(end);
  if (begin > base) before_ += as_text(piece.first(std::min(begin, end) - base));
  if (payload_end_ && *payload_end_ < end) {
    behind_ += as_text(piece.subspan(std::max(*payload_end_, base) - base));
  }
  if (before_.size() + behind_.size() <= kBytesBesideMax) return {};
  return fail(Code::too_large, Origin::client, Retry::never,
              "byte " + std::to_string(end) + ": the message has more than " +
                  format_size(kBytesBesideMax) + " beside its payload");
}

Result<void> MessageReader::on_event(const JsonEvent& event) {
  using Kind = JsonEvent::Kind;
  if (event.depth == 0) {
    if (event.kind == Kind::begin && event.type != '{') {
      return wrong(event.offset, "a message is an object with messageMetaData and messagePayload");
    }
    return {};
  }
  if (event.depth == 1) {
    if (event.kind == Kind::key) return on_member_name(event);
    if (event.kind == Kind::begin) return on_member(event);
    if (member_ == kPayload) {
      payload_end_ = event.offset;
      events_.watch_to_depth(2);
    } else {
      metadata_ended_ = true;
    }
    return {};
  }
  if (event.kind == Kind::key) return on_metadata_name(event);
  if (event.kind == Kind::end) return take_metadata(event.offset);
  if (event.type != '"') {
    return wrong(event.offset, in_metadata(member_) + " must be a string");
  }
  value_begin_ = event.offset;
  value_.clear();
  return {};
}

Result<void> MessageReader::on_member_name(const JsonEvent& event) {
  member_ = events_.key().value_or("");
  const bool again =
      (member_ == kMetadata && metadata_begun_) || (member_ == kPayload && payload_begun());
  if (again) return wrong(event.offset, member_ + " stands twice");
  if (member_ == kMetadata || member_ == kPayload) return {};
  return wrong(event.offset, "a message has messageMetaData and messagePayload and nothing else");
}

Result<void> MessageReader::on_member(const JsonEvent& event) {
  if (member_ == kMetadata) {
    metadata_begun_ = true;
    if (event.type != '{') return wrong(event.offset, "messageMetaData must be an object");
    return {};
  }
  payload_type_ = event.type;
  payload_begin_ = event.offset;
  metadata_came_first_ = metadata_ended_;
  events_.watch_to_depth(1);
  return {};
}

Result<void> MessageReader::on_metadata_name(const JsonEvent& event) {
  member_ = events_.key().value_or("");
  name_offset_ = event.offset;
  if (!is_plain_name(member_)) {
    return wrong(event.offset,
                 "a name in messageMetaData has letters, digits, '_', '-' and '.', at most " +
                     std::to_string(limits::kContextHeaderNameBytesMax));
  }
  if (!seen_.insert(member_).second) {
    return wrong(event.offset, in_metadata(member_) + " stands twice");
  }
  if (seen_.size() > kKnown.size() + limits::kAttributesMax) {
    return wrong(event.offset, "messageMetaData has too many members");
  }
  return {};
}

Result<void> MessageReader::take_metadata(std::uint64_t end) {
  const std::uint64_t begin = std::max(*value_begin_, base_);
  value_ += as_text(piece_.subspan(begin - base_, end - begin));
  const std::uint64_t offset = *value_begin_;
  value_begin_.reset();
  auto value = json_unescape(std::string_view(value_).substr(1, value_.size() - 2));
  if (!value || value->size() > limits::kAttributeBytesMax || value->contains('\0')) {
    return wrong(offset, in_metadata(member_) + " must be text of at most " +
                             format_size(limits::kAttributeBytesMax));
  }
  if (auto set = set_metadata(*std::move(value)); !set) {
    return wrong(offset, in_metadata(member_) + " " + set.error().detail);
  }
  return {};
}

Result<void> MessageReader::set_metadata(std::string value) {
  const auto refuse = [](std::string what) {
    return fail(Code::invalid_argument, Origin::client, Retry::never, std::move(what));
  };
  if (std::ranges::find(kRequired, member_) != kRequired.end() && value.empty()) {
    return refuse("must not be empty");
  }
  if (member_ == "messageType") {
    metadata_.type = std::move(value);
  } else if (member_ == "sourceSystemID") {
    metadata_.source = std::move(value);
  } else if (member_ == "sourceTransactionID") {
    metadata_.transaction = std::move(value);
  } else if (member_ == "dateTime") {
    const auto time = parse_message_time(value);
    if (!time) {
      return refuse(
          "must be an RFC 3339 time like 2026-01-31T12:00:00Z, or 2026-01-31 12:00:00.000000, "
          "which is UTC");
    }
    metadata_.time = *time;
  } else if (member_ == "contentType") {
    metadata_.content_type = std::move(value);
  } else if (member_ == "payloadEncoding") {
    if (value != "base64" && value != "json") return refuse("must be base64 or json");
    metadata_.encoding = value == "json" ? PayloadEncoding::json : PayloadEncoding::base64;
  } else {
    metadata_.others.emplace(member_, std::move(value));
  }
  return {};
}

Result<void> MessageReader::finish() {
  if (failed_) return Failure(*failed_);
  events_.finish();
  JsonEvent event;
  if (events_.next(event) == JsonEvents::Step::wrong) {
    failed_ = events_.error();
    return Failure(*failed_);
  }
  const auto missing = [](const std::string& name) {
    return fail(Code::invalid_argument, Origin::client, Retry::never, name + " is missing");
  };
  if (!metadata_ended_) return missing(std::string(kMetadata));
  for (const std::string_view name : kRequired) {
    if (!seen_.contains(name)) return missing(in_metadata(name));
  }
  if (!payload_ended()) return missing(std::string(kPayload));
  return {};
}

}  // namespace daybook::core
