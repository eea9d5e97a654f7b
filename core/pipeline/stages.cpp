#include "core/pipeline/stages.hpp"

#include "core/digest.hpp"
#include "core/faults.hpp"
#include "core/pipeline/put_object.hpp"
#include "core/text.hpp"

namespace daybook::core::pipeline {
namespace {

Failure damaged(const BufferEntry& entry, const std::string& what) {
  return fail(Code::damaged, Origin::buffer, Retry::never,
              "the buffer's bytes of record " + entry.id.str() + " are damaged: " + what);
}

// Length, digest, envelope, id: nothing goes to the archive that is not what was acknowledged.
Result<OpenedHead> verify(const BufferEntry& entry, Bytes object) {
  if (object.size() != entry.stored_size) {
    return damaged(entry, std::to_string(object.size()) + " bytes instead of " +
                              std::to_string(entry.stored_size));
  }
  if (sha256(object) != entry.stored_sha256) return damaged(entry, "their SHA-256 differs");
  auto head = open_head(object);
  if (!head) return damaged(entry, head.error().detail);
  if (head->envelope.id != entry.id) return damaged(entry, "the envelope names another record");
  return head;
}

// What the transformed envelope takes beside the stored form: itself, and its text.
std::uint64_t added_by(const Passage& passage) {
  return passage.transformed ? 2 * to_json(*passage.transformed).size() : 0;
}

// Puts the transformed envelope in front of the record's frames.
Result<void> rehead(StoredRecord& stored, Passage& passage) {
  if (frames_of(stored.slices(), stored.head).empty() ||
      stored.head.envelope.frames != passage.transformed->frames) {
    return damaged(passage.entry, "its envelope does not fit its bytes");
  }
  stored.reheaded = std::make_shared<const ReheadedObject>(*passage.transformed, stored.slices(),
                                                           stored.head.data_offset);
  stored.head = {*passage.transformed, stored.reheaded->data_offset()};
  passage.stored_size = stored.reheaded->stored_size();
  passage.stored_sha256 = stored.reheaded->stored_sha256();
  return {};
}

}  // namespace

MetadataRow row_of(const Passage& passage, WallTime indexed_at) {
  MetadataRow row;
  row.envelope = passage.head.envelope;
  row.stored_size = passage.stored_size;
  row.stored_sha256 = passage.stored_sha256;
  row.data_offset = passage.slice_offset + passage.head.data_offset;
  row.object_key = passage.object_key;
  row.object_location = passage.object.location;
  row.object_version = passage.object.version;
  row.position = passage.entry.position;
  row.attempts = passage.archive_attempts;
  row.state = "indexed";
  row.started_at = passage.started_at;
  row.archived_at = passage.archived_at;
  row.indexed_at = indexed_at;
  return row;
}

ArchiveStage::ArchiveStage(Runtime& runtime, Workers& workers, WriteAheadBuffer& buffer,
                           FreshRecords& fresh, ObjectStore& store, Settings settings)
    : runtime_(runtime),
      workers_(workers),
      buffer_(buffer),
      fresh_(fresh),
      store_(store),
      settings_(std::move(settings)),
      slots_(runtime, settings_.concurrency) {
  if (settings_.segments.bytes_max == 0) return;
  segments_ =
      std::make_unique<SegmentWriter>(runtime, workers, store, settings_.prefix,
                                      settings_.concurrency, settings_.timeout, settings_.segments);
}

Task<Result<StoredRecord>> ArchiveStage::fetch(Passage& passage, Deadline deadline) {
  const BufferEntry& entry = passage.entry;
  auto stored = co_await fetch_original(entry, deadline);
  if (!stored) co_return stored;
  passage.stored_size = entry.stored_size;
  passage.stored_sha256 = entry.stored_sha256;
  if (passage.transformed) {
    Result<void> done;
    co_await workers_.run([&] { done = rehead(*stored, passage); });
    if (!done) co_return pass(std::move(done));
  }
  passage.head = stored->head;
  POISON_POINT(passage.head.envelope.subject);
  co_return stored;
}

Task<Result<StoredRecord>> ArchiveStage::fetch_original(const BufferEntry& entry,
                                                        Deadline deadline) {
  StoredRecord stored;
  stored.fresh = fresh_.take(entry);
  if (stored.fresh) {
    stored.head = {stored.fresh->envelope(), stored.fresh->slices().front().size()};
    co_return stored;
  }
  auto loaded = co_await buffer_.load(entry.id, deadline);
  if (!loaded) co_return pass(std::move(loaded));
  stored.loaded = std::move(*loaded);
  Result<OpenedHead> head;
  co_await workers_.run([&] { head = verify(entry, as_bytes(stored.loaded)); });
  if (!head) co_return pass(std::move(head));
  stored.head = std::move(*head);
  co_return stored;
}

Task<Result<void>> ArchiveStage::run(Passage& passage) {
  if (!passage.started_at) passage.started_at = runtime_.now();
  if (passage.indexed) co_return Result<void>{};  // and so archived
  if (passage.in_common) co_return co_await segments_->again(passage);
  if (segments_ && !passage.alone && segments_->takes(passage.entry.stored_size)) {
    if (auto memory = co_await segments_->room(passage.entry.stored_size + added_by(passage))) {
      co_return co_await put_together(passage, std::move(*memory));
    }
  }
  const auto slot = co_await slots_.acquire(1, SteadyTime::max());
  const Deadline deadline = runtime_.steady_now() + settings_.timeout;
  auto stored = co_await fetch(passage, deadline);
  if (!stored) co_return pass(std::move(stored));
  co_return co_await put_alone(passage, std::move(*stored), deadline);
}

Task<Result<void>> ArchiveStage::put_together(Passage& passage, Budget::Share memory) {
  StoredRecord stored;
  Result<bool> line_open = false;
  {
    const auto slot = co_await slots_.acquire(1, SteadyTime::max());
    const Deadline deadline = runtime_.steady_now() + settings_.timeout;
    auto fetched = co_await fetch(passage, deadline);
    if (!fetched) co_return pass(std::move(fetched));
    stored = std::move(*fetched);
    co_await workers_.run([&] { line_open = leaves_line_open(stored.head, stored.slices()); });
    // Whatever is odd about it must not be the others' matter.
    if (!line_open) co_return co_await put_alone(passage, std::move(stored), deadline);
  }
  co_return co_await segments_->add(passage, std::move(stored), *line_open, std::move(memory));
}

Task<Result<void>> ArchiveStage::put_alone(Passage& passage, StoredRecord stored,
                                           Deadline deadline) {
  Slices slices = stored.slices();
  std::string corrupt;
  if (PLANTED("corrupt_object")) {
    for (Bytes slice : slices) corrupt += as_text(slice);
    corrupt[corrupt.size() / 2] ^= 1;
    slices = {as_bytes(corrupt)};
    passage.stored_sha256 = sha256(slices);
  }
  CRASH_POINT("before_put");
  if (PLANTED("release_before_put")) {
    passage.object_key = object_key(passage.head.envelope, settings_.prefix);
    co_return Result<void>{};
  }
  auto done =
      co_await put_object(store_, workers_, passage, std::move(slices), settings_.prefix, deadline);
  CRASH_POINT("after_put");
  if (done) passage.archived_at = runtime_.now();
  co_return done;
}

IndexStage::IndexStage(Runtime& runtime, MetadataStore& metadata, std::size_t batch_max,
                       Duration timeout)
    : runtime_(runtime),
      batch_max_(batch_max),
      rows_(runtime, batch_max, [&runtime, &metadata, timeout](std::vector<MetadataRow> rows) {
        return metadata.insert(std::move(rows), runtime.steady_now() + timeout);
      }) {}

Task<Result<void>> IndexStage::run(Passage& passage) {
  CRASH_POINT("before_row");
  if (PLANTED("release_before_row")) co_return Result<void>{};
  // A row that is there goes once more: it changes nothing, and publishes what was not.
  MetadataRow row = passage.indexed ? *passage.indexed : row_of(passage, runtime_.now());
  if (PLANTED("row_of_other_bytes")) row.envelope.sha256.bytes[0] ^= std::byte{1};
  if (PLANTED("row_twice")) {
    MetadataRow twin = row;
    auto id = twin.envelope.id.bytes();
    id[15] ^= 1;
    twin.envelope.id = RecordId(id);
    if (auto inserted = co_await rows_.submit(std::move(twin)); !inserted) co_return inserted;
  }
  auto inserted = co_await rows_.submit(std::move(row));
  CRASH_POINT("after_row");
  co_return inserted;
}

ReleaseStage::ReleaseStage(Runtime& runtime, WriteAheadBuffer& buffer, std::size_t batch_max,
                           Duration timeout)
    : batch_max_(batch_max),
      entries_(runtime, batch_max, [&runtime, &buffer, timeout](std::vector<BufferEntry> entries) {
        return buffer.release(std::move(entries), runtime.steady_now() + timeout);
      }) {}

Task<Result<void>> ReleaseStage::run(Passage& passage) {
  CRASH_POINT("before_release");
  if (PLANTED("never_release")) co_return Result<void>{};
  auto released = co_await entries_.submit(passage.entry);
  CRASH_POINT("after_release");
  co_return released;
}

}  // namespace daybook::core::pipeline
