// What a request's head, or the fields of one part of a batch, say about a record. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "core/config.hpp"
#include "core/envelope.hpp"
#include "core/http/message.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "core/result.hpp"

namespace daybook::api {

// How far a record may be asked to get before its answer (Prefer: durability=…, ?wait=…).
enum class Level { safe, archived, indexed };
[[nodiscard]] std::optional<Level> parse_level(std::string_view word);  // archived | indexed

struct IngestHead {
  core::Envelope envelope;  // attributes and content type only
  std::optional<core::IdempotencyKey> key;
  // Content-Digest, or Repr-Digest, which is the same of a request (RFC 9530 section 3.1): of the
  // body as it is sent, coded where it has a content coding.
  std::optional<core::Sha256> expected;
  Level level = Level::safe;
};
// The error is the client's and names the header.
[[nodiscard]] core::Result<IngestHead> read_ingest_head(const core::http::RequestHead& head,
                                                        const core::Config& config);
// The same of fields alone: attributes, content type, key and digest.
[[nodiscard]] core::Result<IngestHead> read_ingest_fields(const core::http::Fields& fields,
                                                          const core::Config& config);

// Content-Digest or Repr-Digest of a request; nullopt where there is none.
[[nodiscard]] core::Result<std::optional<core::Sha256>> read_digest(
    const core::http::Fields& fields);

// The key that a client names, and the one that source and event_id make where both are given; each
// is noted in the envelope too. nullopt: the name has no bytes or too many, or is no UTF-8.
[[nodiscard]] std::optional<core::IdempotencyKey> named_key(std::string_view name,
                                                            core::Envelope& envelope);
[[nodiscard]] std::optional<core::IdempotencyKey> key_of_event(core::Envelope& envelope);

// Whether the client's words in an envelope are text within their bounds. For envelopes that were
// not made by the functions above.
[[nodiscard]] core::Result<void> check_attributes(const core::Envelope& envelope);

}  // namespace daybook::api
