#include "core/pipeline/transform_stage.hpp"

#include "core/frame.hpp"
#include "core/json_capture.hpp"
#include "core/limits.hpp"

namespace daybook::core::pipeline {

Result<transform::PayloadValues> payload_values(const Slices& stored, const OpenedHead& head,
                                                const std::vector<JsonPointer>& pointers) {
  const auto damaged = [&](const std::string& what) {
    return fail(Code::damaged, Origin::buffer, Retry::never,
                "the stored bytes of record " + head.envelope.id.str() + " are damaged: " + what);
  };
  JsonCapture capture(pointers, limits::kAttributeBytesMax);
  std::uint64_t offset = head.data_offset;
  std::uint64_t rest = head.envelope.size;
  const std::uint64_t stored_size = total_bytes(stored);
  for (const std::uint32_t bytes : head.envelope.frames) {
    if (offset + bytes > stored_size) return damaged("they end inside a frame");
    ByteVector frame;
    for (Bytes part : cut_slices(stored, offset, bytes)) {
      frame.insert(frame.end(), part.begin(), part.end());
    }
    const std::size_t size = std::min<std::uint64_t>(rest, limits::kBlockBytes);
    const auto block = decompress_frame(frame, size);
    if (!block) return damaged(block.error().detail);
    if (!capture.feed(*block)) break;  // no JSON: the rest does not matter
    offset += bytes;
    rest -= size;
  }
  capture.finish();
  return capture.values();
}

TransformStage::TransformStage(Runtime& runtime, Workers& workers, WriteAheadBuffer& buffer,
                               FreshRecords& fresh, MetadataStore& metadata,
                               const transform::Transforms& transforms, Settings settings)
    : runtime_(runtime),
      workers_(workers),
      buffer_(buffer),
      fresh_(fresh),
      metadata_(metadata),
      transforms_(transforms),
      settings_(settings),
      payloads_(runtime, settings.payloads_max) {}

Task<Result<void>> TransformStage::run(Passage& passage) {
  const BufferEntry entry = passage.entry;
  const auto fresh = fresh_.peek(entry);
  Envelope envelope;
  if (fresh) {
    envelope = fresh->envelope();
  } else {
    auto found = co_await buffer_.find(entry.id, runtime_.steady_now() + settings_.timeout);
    if (!found) co_return pass(std::move(found));
    if (!*found) {
      co_return fail(Code::not_found, Origin::buffer, Retry::safe,
                     "the buffer has no record " + entry.id.str());
    }
    envelope = std::move((*found)->head.envelope);
  }
  if (!transforms_.concerns(envelope)) co_return Result<void>{};
  if (!fresh) {
    const auto indexed = co_await is_indexed(entry);
    if (!indexed) co_return pass(indexed);
    passage.indexed = *indexed;
    if (passage.indexed) co_return Result<void>{};
  }
  auto changed = co_await transforms_.apply(std::move(envelope),
                                            [this, entry](std::vector<JsonPointer> pointers) {
                                              return read_payload(entry, std::move(pointers));
                                            });
  if (!changed) co_return pass(std::move(changed));
  passage.transformed = std::make_shared<const Envelope>(std::move(*changed));
  co_return Result<void>{};
}

Task<Result<bool>> TransformStage::is_indexed(const BufferEntry& entry) {
  auto row = co_await metadata_.find(entry.id, runtime_.steady_now() + settings_.timeout);
  if (!row) co_return pass(std::move(row));
  co_return row->has_value();
}

Task<Result<transform::PayloadValues>> TransformStage::read_payload(
    BufferEntry entry, std::vector<JsonPointer> pointers) {
  const auto slot = co_await payloads_.acquire(1, SteadyTime::max());
  const auto fresh = fresh_.peek(entry);
  std::string loaded;
  if (!fresh) {
    auto bytes = co_await buffer_.load(entry.id, runtime_.steady_now() + settings_.timeout);
    if (!bytes) co_return pass(std::move(bytes));
    loaded = std::move(*bytes);
  }
  Result<transform::PayloadValues> values;
  co_await workers_.run([&] {
    const Slices stored = fresh ? fresh->slices() : Slices{as_bytes(loaded)};
    auto head = open_head(stored.front());
    values = head ? payload_values(stored, *head, pointers)
                  : Result<transform::PayloadValues>(Failure(head.error()));
  });
  co_return values;
}

}  // namespace daybook::core::pipeline
