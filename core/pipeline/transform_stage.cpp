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
    const ByteVector frame = join(cut_slices(stored, offset, bytes));
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
  auto envelope = co_await read_envelope(entry);
  if (!envelope) co_return pass(std::move(envelope));
  if (!transforms_.concerns(*envelope)) co_return Result<void>{};
  // Also of a record that this process took: it may have gone straight to the archive before.
  auto row = co_await metadata_.find(entry.id, runtime_.steady_now() + settings_.timeout);
  if (!row) co_return pass(std::move(row));
  if (*row) {
    passage.indexed = std::make_shared<const MetadataRow>(std::move(**row));
    co_return Result<void>{};
  }
  auto changed = co_await transforms_.apply(*std::move(envelope),
                                            [this, entry](std::vector<JsonPointer> pointers) {
                                              return read_payload(entry, std::move(pointers));
                                            });
  if (!changed) co_return pass(std::move(changed));
  passage.transformed = std::make_shared<const Envelope>(std::move(*changed));
  co_return Result<void>{};
}

// The fresh record itself is not held: it is counted as gone when others take its place.
Task<Result<Envelope>> TransformStage::read_envelope(BufferEntry entry) {
  if (const auto fresh = fresh_.peek(entry)) co_return fresh->envelope();
  auto found = co_await buffer_.find(entry.id, runtime_.steady_now() + settings_.timeout);
  if (!found) co_return pass(std::move(found));
  if (!*found) {
    co_return fail(Code::not_found, Origin::buffer, Retry::safe,
                   "the buffer has no record " + entry.id.str());
  }
  co_return std::move((*found)->head.envelope);
}

const RetryPolicy* TransformStage::retry(const Error& error) const {
  const bool of_a_store = error.origin == Origin::buffer || error.origin == Origin::metadata;
  return of_a_store ? nullptr : &settings_.retry;
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
