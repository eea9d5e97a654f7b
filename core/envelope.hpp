// Envelope: everything about a record except its bytes, and its JSON form.
// It is written into the stored object itself (sealed_object.hpp), into the metadata row, and shown
// by the API; one codec serves all three.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.hpp"
#include "core/record_id.hpp"
#include "core/result.hpp"

namespace daybook::core {

struct Envelope {
  RecordId id;
  std::string tenant;
  std::string source;  // CloudEvents 1.0 section 3.1 attributes; empty = not given
  std::string event_id;
  std::string type;
  std::string subject;
  std::optional<WallTime> event_time;
  std::map<std::string, std::string> attributes;  // other ce-* headers, names without "ce-"
  // How it came, not what it is: "door", "peer", "user_agent", "header.NAME". No secrets.
  std::map<std::string, std::string> context;
  std::string content_type;  // as the client sent it
  std::uint64_t size = 0;    // payload bytes
  Sha256 sha256;             // of the payload
  WallTime received_at{};    // when the body was complete
  std::string durability;    // the level the acknowledgement states
  std::uint32_t partition = 0;
  std::string idempotency_key;        // empty = none
  std::vector<std::uint32_t> frames;  // compressed bytes of each zstd frame, in order

  friend bool operator==(const Envelope&, const Envelope&) = default;
};

[[nodiscard]] std::string to_json(const Envelope& envelope);
// A damaged or foreign text is Code::damaged with what is wrong.
[[nodiscard]] Result<Envelope> envelope_from_json(std::string_view json);

// <prefix>/<tenant>/<yyyy>/<mm>/<dd>/<hh>/<id>.<ext>.zst, from the received time; the extension
// comes from the content type ("bin" where it is unknown). An empty prefix leaves no slash.
[[nodiscard]] std::string object_key(const Envelope& envelope, std::string_view prefix);

}  // namespace daybook::core
