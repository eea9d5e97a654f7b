#include "core/object_check.hpp"

#include <algorithm>

#include "core/frame.hpp"
#include "core/limits.hpp"

namespace daybook::core {
namespace {

Failure damaged(std::string detail) {
  return fail(Code::damaged, Origin::object_store, Retry::never, std::move(detail));
}

Result<void> check_payload(Bytes object, const OpenedHead& head) {
  const Envelope& envelope = head.envelope;
  Sha256Hasher hasher;
  std::uint64_t offset = head.data_offset;
  std::uint64_t left = envelope.size;
  for (std::size_t i = 0; i < envelope.frames.size(); ++i) {
    const std::uint64_t block = std::min<std::uint64_t>(left, limits::kBlockBytes);
    const auto bytes = decompress_frame(object.subspan(offset, envelope.frames[i]), block);
    if (!bytes) return damaged("frame " + std::to_string(i) + ": " + bytes.error().detail);
    hasher.update(*bytes);
    offset += envelope.frames[i];
    left -= block;
  }
  const Sha256 found = hasher.finish();
  if (found == envelope.sha256) return {};
  return damaged("the payload has SHA-256 " + found.hex() + ", the envelope says " +
                 envelope.sha256.hex());
}

}  // namespace

Result<CheckedObject> check_object(Bytes object, CheckDepth depth) {
  auto head = open_head(object);
  if (!head) return damaged(head.error().detail);
  const Envelope& envelope = head->envelope;
  const std::string table = seek_table(envelope, head->data_offset);
  std::uint64_t expected = head->data_offset + table.size();
  for (const std::uint32_t frame : envelope.frames) expected += frame;
  const std::uint64_t blocks = (envelope.size + limits::kBlockBytes - 1) / limits::kBlockBytes;
  if (expected != object.size()) {
    return damaged("it has " + std::to_string(object.size()) + " bytes, its envelope says " +
                   std::to_string(expected));
  }
  if (envelope.size > limits::kBodyBytesCeiling || blocks != envelope.frames.size()) {
    return damaged("its envelope names " + std::to_string(envelope.frames.size()) + " frames for " +
                   std::to_string(envelope.size) + " bytes");
  }
  if (as_text(object.last(table.size())) != table) {
    return damaged("its seek table is not that of its envelope");
  }
  if (depth == CheckDepth::payload) {
    if (auto whole = check_payload(object, *head); !whole) return pass(whole);
  }
  return CheckedObject{std::move(*head), object.size(), sha256(object)};
}

std::optional<RecordId> id_of_object_key(std::string_view key) {
  const std::string_view name = key.substr(key.rfind('/') + 1);
  constexpr std::size_t kIdChars = 36;
  if (name.size() <= kIdChars || name[kIdChars] != '.' || !name.ends_with(".zst")) {
    return std::nullopt;
  }
  return RecordId::parse(name.substr(0, kIdChars));
}

MetadataRow row_of_object(const CheckedObject& object, const ListedObject& listed,
                          WallTime indexed_at, std::uint64_t slice_offset) {
  MetadataRow row;
  row.envelope = object.head.envelope;
  row.stored_size = object.stored_size;
  row.stored_sha256 = object.stored_sha256;
  row.data_offset = slice_offset + object.head.data_offset;
  row.object_key = listed.key;
  row.object_location = listed.location;
  row.state = "indexed";
  row.indexed_at = indexed_at;
  return row;
}

}  // namespace daybook::core
