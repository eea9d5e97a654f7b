#include "api/rebuild_index.hpp"

#include <unordered_set>
#include <utility>

#include <unistd.h>

#include "api/cli_output.hpp"
#include "api/offline_stores.hpp"
#include "api/progress_bar.hpp"
#include "core/segment.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::ListedObject;
using core::Result;
using core::Task;

constexpr std::size_t kRowsPerInsert = 256;
constexpr auto kObjectTimeout = std::chrono::seconds(120);
constexpr auto kMetadataTimeout = std::chrono::seconds(60);

class Rebuild {
 public:
  Rebuild(const core::Config& config, io::IoRuntime& runtime, OfflineStores& stores, bool progress)
      : config_(config),
        runtime_(runtime),
        stores_(stores),
        bar_(progress),
        progress_(progress && is_terminal(STDERR_FILENO)),
        served_(runtime.make_signal()) {}

  Task<Result<RebuildSummary>> run();

 private:
  using Rows = std::vector<core::MetadataRow>;
  Task<Result<void>> visit(ListedObject object);
  Task<Result<Rows>> rows_of(ListedObject object);
  Task<Result<Rows>> rows_of_segment(ListedObject object);
  Task<Result<core::ByteVector>> read(ListedObject object);
  void damaged(const ListedObject& object, const core::Error& error);
  Task<Result<void>> keep(ListedObject object, Rows rows);
  Task<Result<void>> insert();

  const core::Config& config_;
  io::IoRuntime& runtime_;
  OfflineStores& stores_;
  ProgressBar bar_;
  const bool progress_;
  ArchiveTotals totals_;
  RebuildSummary summary_;
  // Objects are read side by side, but their rows are taken in the order of their keys: of two
  // copies of a record, which are in one folder, the one with the lesser key gets the row.
  std::uint64_t tickets_ = 0;
  std::uint64_t serving_ = 0;
  std::unique_ptr<core::Signal> served_;
  std::string folder_;
  std::unordered_set<core::RecordId, core::RecordIdHash> of_folder_;  // records with a row to be
  Rows rows_;                                                         // checked, not inserted yet
};

Task<Result<RebuildSummary>> Rebuild::run() {
  const core::SteadyTime began = runtime_.steady_now();
  const std::string prefix = archive_key_prefix(config_);
  if (progress_) {
    const auto counted = co_await count_archive(runtime_, stores_.objects(), prefix);
    if (!counted) co_return pass(counted);
    totals_ = *counted;
  }
  auto walked =
      co_await walk_archive(runtime_, stores_.objects(), prefix, stores_.together(),
                            [this](ListedObject object) { return visit(std::move(object)); });
  auto inserted = co_await insert();  // also what was checked before a failure
  bar_.clear();
  if (!walked) co_return pass(std::move(walked));
  if (!inserted) co_return pass(std::move(inserted));
  summary_.seconds = std::chrono::duration<double>(runtime_.steady_now() - began).count();
  co_return std::move(summary_);
}

Task<Result<void>> Rebuild::visit(ListedObject object) {
  const std::uint64_t ticket = tickets_++;
  auto rows = co_await rows_of(object);
  while (serving_ != ticket) co_await served_->wait(core::SteadyTime::max());
  auto kept = rows ? co_await keep(std::move(object), std::move(*rows)) : Result<void>(pass(rows));
  ++serving_;
  served_->notify_all();
  co_return kept;
}

Task<Result<Rebuild::Rows>> Rebuild::rows_of(ListedObject object) {
  const bool segment = core::segment_of_key(object.key).has_value();
  const auto id = core::id_of_object_key(object.key);
  if (!id && !segment) {
    ++summary_.other;
    co_return Rows{};
  }
  ++summary_.objects;
  summary_.bytes += object.size;
  bar_.draw({summary_.objects, totals_.objects, summary_.bytes, totals_.bytes, 0});
  if (segment) co_return co_await rows_of_segment(std::move(object));
  const auto row = co_await stores_.metadata().find(*id, runtime_.steady_now() + kMetadataTimeout);
  if (!row) co_return pass(row);
  if (*row) {
    ++summary_.present;
    co_return Rows{};
  }
  const auto bytes = co_await read(object);
  if (!bytes) co_return pass(bytes);
  Rows rows;
  if (bytes->empty()) co_return rows;
  Result<core::CheckedObject> checked;
  co_await stores_.workers().run(
      [&] { checked = core::check_object(*bytes, core::CheckDepth::payload); });
  if (checked && checked->head.envelope.id != *id) {
    checked = core::fail(Code::damaged, core::Origin::object_store, core::Retry::never,
                         "its envelope names record " + checked->head.envelope.id.str());
  }
  if (checked) {
    rows.push_back(core::row_of_object(*checked, object, runtime_.now()));
  } else {
    damaged(object, checked.error());
  }
  co_return rows;
}

Task<Result<Rebuild::Rows>> Rebuild::rows_of_segment(ListedObject object) {
  const auto bytes = co_await read(object);
  if (!bytes) co_return pass(bytes);
  Rows rows;
  if (bytes->empty()) co_return rows;
  Result<core::OpenedSegment> opened;
  co_await stores_.workers().run([&] { opened = core::open_segment(*bytes); });
  const std::string& wrong = opened ? opened->damage : opened.error().detail;
  if (!wrong.empty()) summary_.damaged.push_back({object.key, wrong});
  if (!opened) co_return rows;
  for (const core::SegmentEntry& entry : opened->entries) {
    const auto row =
        co_await stores_.metadata().find(entry.id, runtime_.steady_now() + kMetadataTimeout);
    if (!row) co_return pass(row);
    if (*row) {
      ++summary_.present;
      continue;
    }
    Result<core::CheckedObject> checked;
    co_await stores_.workers().run(
        [&] { checked = core::check_slice(*bytes, entry, core::CheckDepth::payload); });
    if (checked) {
      rows.push_back(core::row_of_object(*checked, object, runtime_.now(), entry.offset));
    } else {
      checked.error().detail.insert(0, "record " + entry.id.str() + ": ");
      damaged(object, checked.error());
    }
  }
  co_return rows;
}

// Empty: it is gone by now, or the store knows that it is damaged.
Task<Result<core::ByteVector>> Rebuild::read(ListedObject object) {
  auto bytes = co_await stores_.objects().get(object.key, std::nullopt,
                                              runtime_.steady_now() + kObjectTimeout);
  if (bytes) co_return bytes;
  if (bytes.error().code == Code::damaged) {
    damaged(object, bytes.error());
  } else if (bytes.error().code != Code::not_found) {
    co_return bytes;
  }
  co_return core::ByteVector{};
}

void Rebuild::damaged(const ListedObject& object, const core::Error& error) {
  summary_.damaged.push_back({object.key, error.detail});
}

Task<Result<void>> Rebuild::keep(ListedObject object, Rows rows) {
  std::string folder = object.key.substr(0, object.key.rfind('/') + 1);
  if (folder != folder_) {
    folder_ = std::move(folder);
    of_folder_.clear();
  }
  for (core::MetadataRow& row : rows) {
    if (!of_folder_.insert(row.envelope.id).second) {
      ++summary_.present;
      continue;
    }
    rows_.push_back(std::move(row));
    ++summary_.inserted;
    if (rows_.size() < kRowsPerInsert) continue;
    if (auto inserted = co_await insert(); !inserted) co_return inserted;
  }
  co_return Result<void>{};
}

Task<Result<void>> Rebuild::insert() {
  co_return co_await stores_.metadata().insert(std::exchange(rows_, {}),
                                               runtime_.steady_now() + kMetadataTimeout);
}

}  // namespace

Task<Result<RebuildSummary>> rebuild_index(const core::Config& config, io::IoRuntime& runtime,
                                           bool show_progress) {
  auto stores = OfflineStores::open(config, runtime, OfflineStores::MetadataFile::make);
  if (!stores) co_return pass(std::move(stores));
  Rebuild rebuild(config, runtime, **stores, show_progress);
  co_return co_await rebuild.run();
}

}  // namespace daybook::api
