// Rows for tests of metadata stores.
#pragma once

#include <string>

#include "core/limits.hpp"
#include "core/ports/metadata_store.hpp"

namespace daybook::tests {

inline core::WallTime wall_time(std::int64_t unix_us) {
  return core::WallTime(std::chrono::microseconds(unix_us));
}

// Every column set, each differently.
inline core::MetadataRow full_row(core::RecordId id, core::WallTime received_at) {
  core::MetadataRow row;
  row.envelope.id = id;
  row.envelope.tenant = "bank";
  row.envelope.source = "urn:core:7";
  row.envelope.event_id = "event-1";
  row.envelope.type = "audit.login";
  row.envelope.subject = "user/42";
  row.envelope.event_time = received_at - std::chrono::microseconds(1'234'567);
  row.envelope.attributes = {{"traceparent", "00-abc-def-01"}, {"zone", "eu"}};
  row.envelope.context = {
      {"door", "records"}, {"peer", "192.0.2.7"}, {"header.x-\"a\"", "\xC3\xBC"}};
  row.envelope.content_type = "application/json; charset=utf-8";
  row.envelope.size = 2 * core::limits::kBlockBytes + 5;
  row.envelope.sha256 = core::sha256(core::as_bytes("payload"));
  row.envelope.received_at = received_at;
  row.envelope.durability = "fsync";
  row.envelope.partition = 3;
  row.envelope.idempotency_key = "key-1";
  row.envelope.frames = {100'000, 4'294'967'295, 17};
  row.stored_size = 5'000'000'000;
  row.stored_sha256 = core::sha256(core::as_bytes("object"));
  row.data_offset = 512;
  row.object_key = "bank/2026/11/21/04/x.json.zst";
  row.object_location = "file:/archive/bank/2026/11/21/04/x.json.zst";
  row.object_version = "v7";
  row.position = "1795233906123-0";
  row.attempts = 2;
  row.state = "indexed";
  row.started_at = received_at - std::chrono::microseconds(3);  // another node's clock
  row.archived_at = received_at + std::chrono::microseconds(6'123'456);
  row.indexed_at = received_at + std::chrono::microseconds(7'000'001);
  return row;
}

// Only what every record has.
inline core::MetadataRow bare_row(core::RecordId id, core::WallTime received_at) {
  core::MetadataRow row;
  row.envelope.id = id;
  row.envelope.tenant = "default";
  row.envelope.size = 1;
  row.envelope.frames = {14};
  row.envelope.received_at = received_at;
  row.envelope.durability = "fsync";
  row.state = "indexed";
  row.indexed_at = received_at;
  return row;
}

// query([](auto& q) { q.tenant = "a"; }): everything else stays unset.
template <class Set>
core::MetadataQuery query(Set set) {
  core::MetadataQuery made;
  set(made);
  return made;
}
inline core::MetadataQuery query_of_limit(std::uint32_t limit) {
  return query([limit](auto& q) { q.limit = limit; });
}

}  // namespace daybook::tests
