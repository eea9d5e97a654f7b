// Whether the bytes of a stored object are what its envelope says, and the metadata row they stand
// for. Pure; hashing and decompressing take milliseconds a megabyte, so it belongs on a worker.
#pragma once

#include <string>

#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/sealed_object.hpp"

namespace daybook::core {

struct CheckedObject {
  OpenedHead head;
  std::uint64_t stored_size = 0;
  Sha256 stored_sha256;
};

enum class CheckDepth {
  stored_bytes,  // envelope, sizes, SHA-256 of the stored bytes
  payload,       // also every frame's check, and the SHA-256 of the decompressed payload
};

// Code::damaged says what does not fit. The frame sizes of the envelope and the seek table behind
// them must make up the object exactly.
[[nodiscard]] Result<CheckedObject> check_object(Bytes object, CheckDepth depth);

// The id in the last part of an object key, "<id>.<ext>.zst"; nullopt: no record is kept there.
[[nodiscard]] std::optional<RecordId> id_of_object_key(std::string_view key);

// What the index would hold. The buffer's position and the archive's attempts are not known from an
// object: they stay empty and 1. slice_offset: where in the listed object, a segment, it is.
[[nodiscard]] MetadataRow row_of_object(const CheckedObject& object, const ListedObject& listed,
                                        WallTime indexed_at, std::uint64_t slice_offset = 0);

}  // namespace daybook::core
