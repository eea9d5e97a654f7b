#include "core/pipeline/put_object.hpp"

#include "core/digest.hpp"
#include "core/text.hpp"

namespace daybook::core::pipeline {
namespace {

std::map<std::string, std::string> object_metadata(const Envelope& envelope) {
  return {{"daybook-id", envelope.id.str()},
          {"daybook-tenant", percent_encode(envelope.tenant)},
          {"daybook-sha256", envelope.sha256.hex()},
          {"daybook-size", std::to_string(envelope.size)},
          {"daybook-received-at", format_time(envelope.received_at)}};
}

PutObject request_for(const Passage& passage, Slices stored, std::string_view prefix) {
  const Envelope& envelope = passage.head.envelope;
  return {.key = object_key(envelope, prefix),
          .body = std::move(stored),
          .sha256 = passage.stored_sha256,
          .content_type = envelope.content_type,
          .metadata = object_metadata(envelope),
          .tenant = envelope.tenant,
          .received_at = envelope.received_at};
}

// What an object says of itself.
struct Existing {
  OpenedHead head;
  std::uint64_t stored_size = 0;
  Sha256 stored_sha256;
};

// nullopt: it is not what passage tells of, other attributes apart.
std::optional<Existing> same_record(Bytes existing, const Slices& stored, const OpenedHead& head) {
  auto opened = open_head(existing);
  if (!opened) return std::nullopt;
  const Envelope& theirs = opened->envelope;
  const Envelope& ours = head.envelope;
  if (theirs.id != ours.id || theirs.tenant != ours.tenant || theirs.sha256 != ours.sha256 ||
      theirs.frames != ours.frames) {
    return std::nullopt;
  }
  const Slices frames = frames_of({existing}, *opened);
  const std::uint64_t rest = seek_table_size(theirs.frames.size());
  if (frames.empty() || sha256(frames) != sha256(frames_of(stored, head)) ||
      opened->data_offset + total_bytes(frames) + rest != existing.size()) {
    return std::nullopt;
  }
  return Existing{*std::move(opened), existing.size(), sha256(existing)};
}

// The object that kept ours out, where it is the same record's.
Task<Result<ObjectVersion>> adopt(ObjectStore& store, Workers& workers, Passage& passage,
                                  Slices stored, Error conflict, Deadline deadline) {
  const auto bytes = co_await store.get(passage.object_key, std::nullopt, deadline);
  if (!bytes) co_return pass(bytes);
  std::optional<Existing> existing;
  co_await workers.run([&] { existing = same_record(*bytes, stored, passage.head); });
  if (!existing) co_return Failure(std::move(conflict));
  const auto listed = co_await store.list(passage.object_key, "", 1, deadline);
  if (!listed) co_return pass(listed);
  passage.head = std::move(existing->head);
  passage.stored_size = existing->stored_size;
  passage.stored_sha256 = existing->stored_sha256;
  ObjectVersion version;
  if (!listed->empty()) version.location = listed->front().location;
  co_return version;
}

}  // namespace

Slices frames_of(const Slices& stored, const OpenedHead& head) {
  std::uint64_t bytes = 0;
  for (const std::uint32_t frame : head.envelope.frames) bytes += frame;
  if (head.data_offset + bytes > total_bytes(stored)) return {};
  return cut_slices(stored, head.data_offset, bytes);
}

Task<Result<void>> put_object(ObjectStore& store, Workers& workers, Passage& passage, Slices stored,
                              std::string prefix, Deadline deadline) {
  PutObject put = request_for(passage, stored, prefix);
  passage.object_key = put.key;
  auto version = co_await store.put(std::move(put), deadline);
  if (!version && version.error().code == Code::conflict && version.error().retry == Retry::never) {
    version = co_await adopt(store, workers, passage, std::move(stored), version.error(), deadline);
  }
  if (!version) co_return pass(std::move(version));
  passage.object = *std::move(version);
  co_return Result<void>{};
}

}  // namespace daybook::core::pipeline
