// MessageReader: one message of the reliable-messaging door, while it arrives:
//
//   {"messageMetaData": {"messageType": …, "sourceSystemID": …, "sourceTransactionID": …,
//                        "dateTime": …, …}, "messagePayload": <any JSON>}
//
// Bytes in; metadata and the place of the payload out. The payload's bytes are never kept: they are
// a slice of the piece that was fed. Members come in any order. Strict JSON (json_events.hpp, and
// no half surrogate pairs); names that repeat or are not known at the two levels that are read are
// errors, as are other types. Errors are the client's and name the byte. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/json_events.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

// How a payload is to be archived. json: the value's bytes as they stand. base64: a string, as the
// bytes it stands for. unsaid: json, but for a string that says by itself what it is
// ("data:image/png;base64,…", RFC 2397). agreed_base64: as unsaid, but any other string is base64,
// because of the message's type; no message says this itself.
enum class PayloadEncoding : std::uint8_t { unsaid, json, base64, agreed_base64 };

struct MessageMetadata {
  std::string type;         // messageType
  std::string source;       // sourceSystemID
  std::string transaction;  // sourceTransactionID
  WallTime time{};          // dateTime
  std::string content_type;
  PayloadEncoding encoding = PayloadEncoding::unsaid;  // payloadEncoding
  std::map<std::string, std::string> others;           // further members, which are strings
};

// RFC 3339, or "2026-11-21 04:05:06.123456" with 0 to 6 digits behind the point, which is UTC.
[[nodiscard]] std::optional<WallTime> parse_message_time(std::string_view text);

class MessageReader {
 public:
  // A message's bytes besides its payload are a few words about it.
  static constexpr std::size_t kBytesBesideMax = 64 * KiB;

  MessageReader();

  // Reads all of it, or up to the first mistake, which is final. Afterwards payload() is what it
  // held of the payload; the bytes stay alive as long as that is used.
  Result<void> feed(Bytes piece);
  // There is nothing more: whether the message is whole and says what it must.
  Result<void> finish();

  [[nodiscard]] Bytes payload() const { return payload_; }
  [[nodiscard]] bool payload_begun() const { return payload_begin_.has_value(); }
  [[nodiscard]] bool payload_ended() const { return payload_end_.has_value(); }
  // As a JsonEvent has it, and where it begins. Once it has begun.
  [[nodiscard]] char payload_type() const { return payload_type_; }
  [[nodiscard]] std::uint64_t payload_offset() const { return *payload_begin_; }

  // Whether messageMetaData stood before the payload. Once that has begun.
  [[nodiscard]] bool metadata_came_first() const { return metadata_came_first_; }
  [[nodiscard]] bool metadata_ended() const { return metadata_ended_; }
  [[nodiscard]] const MessageMetadata& metadata() const { return metadata_; }

  // What stood before the payload and, once it has ended, behind it; without the piece that had a
  // mistake in it.
  [[nodiscard]] const std::string& before() const { return before_; }
  [[nodiscard]] const std::string& behind() const { return behind_; }

 private:
  Result<void> on_event(const JsonEvent& event);
  Result<void> on_member_name(const JsonEvent& event);
  Result<void> on_member(const JsonEvent& event);
  Result<void> on_metadata_name(const JsonEvent& event);
  Result<void> take_metadata(std::uint64_t end);
  Result<void> set_metadata(std::string value);
  Result<void> keep_outside(Bytes piece, std::uint64_t base);
  Failure wrong(std::uint64_t offset, std::string_view what) const;

  JsonEvents events_;
  Bytes piece_;
  std::uint64_t base_ = 0;  // offset of the piece
  std::optional<Error> failed_;

  std::string member_;  // the name whose value is due
  std::uint64_t name_offset_ = 0;
  bool metadata_begun_ = false;
  bool metadata_ended_ = false;
  bool metadata_came_first_ = false;
  char payload_type_ = 0;
  std::optional<std::uint64_t> payload_begin_, payload_end_;
  Bytes payload_;

  std::set<std::string, std::less<>> seen_;   // names in messageMetaData
  std::optional<std::uint64_t> value_begin_;  // of the string that goes on there
  std::string value_;                         // as it stands, quotes included
  MessageMetadata metadata_;
  std::string before_, behind_;
};

}  // namespace daybook::core
