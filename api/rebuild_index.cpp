#include "api/rebuild_index.hpp"

#include <utility>

#include <unistd.h>

#include "api/cli_output.hpp"
#include "api/offline_stores.hpp"
#include "api/progress_bar.hpp"

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
        progress_(progress && is_terminal(STDERR_FILENO)) {}

  Task<Result<RebuildSummary>> run();

 private:
  Task<Result<void>> visit(ListedObject object);
  Task<Result<void>> insert();

  const core::Config& config_;
  io::IoRuntime& runtime_;
  OfflineStores& stores_;
  ProgressBar bar_;
  const bool progress_;
  ArchiveTotals totals_;
  RebuildSummary summary_;
  std::vector<core::MetadataRow> rows_;  // checked, not inserted yet
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
  const auto id = core::id_of_object_key(object.key);
  if (!id) {
    ++summary_.other;
    co_return Result<void>{};
  }
  const auto row = co_await stores_.metadata().find(*id, runtime_.steady_now() + kMetadataTimeout);
  if (!row) co_return pass(row);
  ++summary_.objects;
  summary_.bytes += object.size;
  bar_.draw({summary_.objects, totals_.objects, summary_.bytes, totals_.bytes, 0});
  if (*row) {
    ++summary_.present;
    co_return Result<void>{};
  }
  const auto bytes = co_await stores_.objects().get(object.key, std::nullopt,
                                                    runtime_.steady_now() + kObjectTimeout);
  if (!bytes && bytes.error().code == Code::not_found) co_return Result<void>{};  // gone by now
  if (!bytes && bytes.error().code != Code::damaged) co_return pass(bytes);
  Result<core::CheckedObject> checked =
      bytes ? core::CheckedObject{} : Result<core::CheckedObject>(pass(bytes));
  if (bytes) {
    co_await stores_.workers().run(
        [&] { checked = core::check_object(*bytes, core::CheckDepth::payload); });
  }
  if (checked && checked->head.envelope.id != *id) {
    checked = core::fail(Code::damaged, core::Origin::object_store, core::Retry::never,
                         "its envelope names record " + checked->head.envelope.id.str());
  }
  if (!checked) {
    summary_.damaged.push_back({object.key, checked.error().detail});
    co_return Result<void>{};
  }
  rows_.push_back(core::row_of_object(*checked, object, runtime_.now()));
  ++summary_.inserted;
  if (rows_.size() >= kRowsPerInsert) co_return co_await insert();
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
