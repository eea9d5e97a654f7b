#include "core/sealed_object.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/check.hpp"
#include "core/limits.hpp"

namespace daybook::core {
namespace {

constexpr std::uint32_t kEnvelopeMagic = 0x184D2A50;
constexpr std::uint32_t kSeekTableMagic = 0x184D2A5E;
constexpr std::uint32_t kSeekableFooterMagic = 0x8F92EAB1;
constexpr std::size_t kSkippableHeaderBytes = 8;

void append_u32(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint32_t read_u32(Bytes bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
  }
  return value;
}

std::string skippable_frame(std::uint32_t magic, std::string_view content) {
  std::string frame;
  frame.reserve(kSkippableHeaderBytes + content.size());
  append_u32(frame, magic);
  append_u32(frame, static_cast<std::uint32_t>(content.size()));
  frame.append(content);
  return frame;
}

Failure damaged(std::string detail) {
  return fail(Code::damaged, Origin::self, Retry::never, std::move(detail));
}

}  // namespace

// zstd seekable format, version 0.1.0: per frame compressed and decompressed size, then a footer.
// The envelope's frame is the first entry, with nothing decompressed.
std::string seek_table(const Envelope& envelope, std::size_t head_bytes) {
  std::string table;
  append_u32(table, static_cast<std::uint32_t>(head_bytes));
  append_u32(table, 0);
  std::uint64_t left = envelope.size;
  for (std::uint32_t frame : envelope.frames) {
    const std::uint64_t block = std::min<std::uint64_t>(left, limits::kBlockBytes);
    append_u32(table, frame);
    append_u32(table, static_cast<std::uint32_t>(block));
    left -= block;
  }
  append_u32(table, static_cast<std::uint32_t>(envelope.frames.size() + 1));
  table.push_back('\0');  // descriptor: no checksums of content; the frames have their checks
  append_u32(table, kSeekableFooterMagic);
  return skippable_frame(kSeekTableMagic, table);
}

std::uint64_t seek_table_size(std::size_t frames) {
  return kSkippableHeaderBytes + 8 * (std::uint64_t{frames} + 1) + 9;
}

SealedObject::SealedObject(Envelope envelope, std::vector<ByteVector> frames)
    : envelope_(std::move(envelope)),
      head_(skippable_frame(kEnvelopeMagic, to_json(envelope_))),
      frames_(std::move(frames)),
      seek_table_(seek_table(envelope_, head_.size())) {
  CHECK(envelope_.frames.size() == frames_.size());
  slices_.reserve(frames_.size() + 2);
  slices_.push_back(as_bytes(head_));
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    CHECK(frames_[i].size() == envelope_.frames[i]);
    slices_.emplace_back(frames_[i]);
  }
  slices_.push_back(as_bytes(seek_table_));
  stored_size_ = total_bytes(slices_);
  stored_sha256_ = core::sha256(slices_);
}

Result<std::unique_ptr<SealedObject>> SealedObject::from_stored(ByteVector stored) {
  auto head = open_head(stored);
  if (!head) return pass(std::move(head));
  std::unique_ptr<SealedObject> object(new SealedObject);
  object->envelope_ = std::move(head->envelope);
  object->frames_.push_back(std::move(stored));
  object->slices_ = {object->frames_.front()};
  object->stored_size_ = object->frames_.front().size();
  object->stored_sha256_ = core::sha256(object->frames_.front());
  return object;
}

ReheadedObject::ReheadedObject(Envelope envelope, const Slices& original, std::uint64_t data_offset)
    : envelope_(std::move(envelope)),
      head_(skippable_frame(kEnvelopeMagic, to_json(envelope_))),
      seek_table_(seek_table(envelope_, head_.size())) {
  const std::uint64_t data =
      std::accumulate(envelope_.frames.begin(), envelope_.frames.end(), std::uint64_t{0});
  slices_.push_back(as_bytes(head_));
  const Slices frames = cut_slices(original, data_offset, data);
  slices_.insert(slices_.end(), frames.begin(), frames.end());
  slices_.push_back(as_bytes(seek_table_));
  stored_size_ = total_bytes(slices_);
  stored_sha256_ = core::sha256(slices_);
}

Slices cut_slices(const Slices& slices, std::uint64_t offset, std::uint64_t length) {
  Slices cut;
  for (Bytes slice : slices) {
    const std::uint64_t skip = std::min<std::uint64_t>(offset, slice.size());
    offset -= skip;
    slice = slice.subspan(skip);
    const Bytes part = slice.first(std::min<std::uint64_t>(length, slice.size()));
    length -= part.size();
    if (!part.empty()) cut.push_back(part);
  }
  CHECK(length == 0);
  return cut;
}

ByteVector join(const Slices& slices) {
  ByteVector all;
  all.reserve(total_bytes(slices));
  for (Bytes slice : slices) all.insert(all.end(), slice.begin(), slice.end());
  return all;
}

Result<std::uint64_t> head_size(Bytes first_8_bytes) {
  if (first_8_bytes.size() < kSkippableHeaderBytes || read_u32(first_8_bytes) != kEnvelopeMagic) {
    return damaged("the object does not begin with an envelope (skippable frame 0x184D2A50)");
  }
  const std::uint64_t length = read_u32(first_8_bytes.subspan(4));
  if (length > limits::kEnvelopeBytesMax) {
    return damaged("the envelope claims " + std::to_string(length) + " bytes, more than the bound");
  }
  return kSkippableHeaderBytes + length;
}

Result<OpenedHead> open_head(Bytes object_front) {
  const auto size = head_size(object_front);
  if (!size) return pass(size);
  if (object_front.size() < *size) return damaged("the object ends inside its envelope");
  auto envelope = envelope_from_json(
      as_text(object_front.subspan(kSkippableHeaderBytes, *size - kSkippableHeaderBytes)));
  if (!envelope) return pass(std::move(envelope));
  return OpenedHead{std::move(*envelope), *size};
}

FrameRange frames_of_range(const std::vector<std::uint32_t>& frames, std::uint64_t data_offset,
                           std::uint64_t first, std::uint64_t last) {
  FrameRange range;
  range.frame_first = first / limits::kBlockBytes;
  const std::size_t frame_last = last / limits::kBlockBytes;
  CHECK(first <= last && frame_last < frames.size());
  range.frame_count = frame_last - range.frame_first + 1;
  range.skip = first % limits::kBlockBytes;
  range.stored_first = data_offset;
  for (std::size_t i = 0; i < range.frame_first; ++i) range.stored_first += frames[i];
  for (std::size_t i = range.frame_first; i <= frame_last; ++i) range.stored_length += frames[i];
  return range;
}

}  // namespace daybook::core
