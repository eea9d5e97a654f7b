// The one byte layout of a stored record, the same in the Redis buffer and in the archive:
//
//   skippable frame   | magic 0x184D2A50 | u32 length | envelope, JSON |         (RFC 8878 3.1.2)
//   zstd frame 0      | 1 MiB of payload                               |
//   skippable frame   | magic 0x184D2A51 | u32 8 | XXH3 of zstd frame 0 |
//   ...               |                                                |
//   zstd frame n-1    | the rest of the payload                        |
//   skippable frame   | magic 0x184D2A51 | u32 8 | XXH3 of frame n-1   |
//   skippable frame   | magic 0x184D2A5E | u32 length | seek table     |    (zstd seekable format)
//
// It is an ordinary .zst file: `zstd -dc` prints the payload and skips the rest. The envelope
// in front makes each object self-describing, so the metadata store can be rebuilt from objects
// alone. A frame that covers payload bytes [i MiB, (i+1) MiB) is found from the envelope's frame
// sizes, which count the check behind each.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/envelope.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

// Immutable once made; holds the compressed bytes until its last user is done.
class SealedObject {
 public:
  // frames: compressed blocks in order; envelope.frames must list their sizes.
  SealedObject(Envelope envelope, std::vector<ByteVector> frames);
  // From the bytes of a stored object, whole; Code::damaged where its head cannot be read.
  static Result<std::unique_ptr<SealedObject>> from_stored(ByteVector stored);

  [[nodiscard]] const Envelope& envelope() const { return envelope_; }
  [[nodiscard]] const Slices& slices() const { return slices_; }  // of the whole object, in order
  [[nodiscard]] std::uint64_t stored_size() const { return stored_size_; }
  [[nodiscard]] const Sha256& stored_sha256() const { return stored_sha256_; }

  SealedObject(const SealedObject&) = delete;  // slices_ point into this object
  SealedObject& operator=(const SealedObject&) = delete;

 private:
  SealedObject() = default;

  Envelope envelope_;
  std::string head_;  // the skippable frame with the envelope
  std::vector<ByteVector> frames_;
  std::string seek_table_;
  Slices slices_;
  std::uint64_t stored_size_ = 0;
  Sha256 stored_sha256_;
};

// A stored object's frames behind another envelope of the same record. The original's bytes stay
// with their owner and outlive this.
class ReheadedObject {
 public:
  // data_offset: where the original's zstd frame 0 begins. The envelopes' frames are the same.
  ReheadedObject(Envelope envelope, const Slices& original, std::uint64_t data_offset);

  [[nodiscard]] const Envelope& envelope() const { return envelope_; }
  [[nodiscard]] std::uint64_t data_offset() const { return head_.size(); }
  [[nodiscard]] const Slices& slices() const { return slices_; }
  [[nodiscard]] std::uint64_t stored_size() const { return stored_size_; }
  [[nodiscard]] const Sha256& stored_sha256() const { return stored_sha256_; }

  ReheadedObject(const ReheadedObject&) = delete;  // slices_ point into this object
  ReheadedObject& operator=(const ReheadedObject&) = delete;

 private:
  Envelope envelope_;
  std::string head_;
  std::string seek_table_;
  Slices slices_;
  std::uint64_t stored_size_ = 0;
  Sha256 stored_sha256_;
};

// `length` bytes of one text in slices, from `offset` on; they are there.
[[nodiscard]] Slices cut_slices(const Slices& slices, std::uint64_t offset, std::uint64_t length);
[[nodiscard]] ByteVector join(const Slices& slices);

// The last frame of the object that this envelope, stored in head_bytes, begins.
[[nodiscard]] std::string seek_table(const Envelope& envelope, std::size_t head_bytes);
[[nodiscard]] std::uint64_t seek_table_size(std::size_t frames);

struct OpenedHead {
  Envelope envelope;
  std::uint64_t data_offset = 0;  // where zstd frame 0 begins
};

// How many bytes from the front open_head needs, once the first 8 are there.
[[nodiscard]] Result<std::uint64_t> head_size(Bytes first_8_bytes);
[[nodiscard]] Result<OpenedHead> open_head(Bytes object_front);

// Which stored bytes hold payload bytes [first, last]; what to cut from their decompressed form.
struct FrameRange {
  std::uint64_t stored_first = 0;  // offset in the object
  std::uint64_t stored_length = 0;
  std::size_t frame_first = 0;  // index of the first frame
  std::size_t frame_count = 0;
  std::uint64_t skip = 0;  // payload bytes to drop from the first frame
};
[[nodiscard]] FrameRange frames_of_range(const std::vector<std::uint32_t>& frames,
                                         std::uint64_t data_offset, std::uint64_t first,
                                         std::uint64_t last);

}  // namespace daybook::core
