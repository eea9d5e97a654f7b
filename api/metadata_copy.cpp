#include "api/metadata_copy.hpp"

#include <utility>

#include "core/limits.hpp"
#include "storage/row_texts.hpp"

namespace daybook::api {
namespace {

using core::MetadataRow;
using core::MetadataStore;
using core::Result;
using core::Task;
using Rows = std::vector<MetadataRow>;

constexpr std::uint32_t kPageRows = 500;
constexpr std::size_t kDifferentNamed = 100;
constexpr auto kCallTimeout = std::chrono::seconds(60);
constexpr auto kPatience = std::chrono::seconds(30);
constexpr auto kPause = std::chrono::seconds(1);
static_assert(kPageRows <= core::limits::kPageRecordsMax);

// Calls make(deadline) until it works, fails for good, or has failed for too long.
template <class Make>
auto patiently(core::Runtime& runtime, Make make)
    -> decltype(make(core::Deadline())) {  // no lambda is the coroutine: make() only starts one
  const core::SteadyTime give_up = runtime.steady_now() + kPatience;
  for (;;) {
    auto outcome = co_await make(runtime.steady_now() + kCallTimeout);
    if (outcome || outcome.error().retry == core::Retry::never ||
        outcome.error().code == core::Code::misconfigured || runtime.steady_now() >= give_up) {
      co_return outcome;
    }
    co_await runtime.sleep(kPause);
  }
}

// A store's rows by id ascending, a page at a time.
class RowReader {
 public:
  RowReader(core::Runtime& runtime, MetadataStore& store) : runtime_(runtime), store_(store) {}

  // The next row, null behind the last; valid until take().
  Task<Result<MetadataRow*>> next() {
    if (at_ == page_.size() && !last_) {
      auto page = co_await patiently(runtime_, [this](core::Deadline deadline) {
        return store_.scan(after_, kPageRows, deadline);
      });
      if (!page) co_return pass(page);
      page_ = std::move(*page);
      at_ = 0;
      last_ = page_.size() < kPageRows;
      if (!page_.empty()) after_ = page_.back().envelope.id;
    }
    co_return at_ == page_.size() ? nullptr : &page_[at_];
  }
  MetadataRow take() { return std::move(page_[at_++]); }

 private:
  core::Runtime& runtime_;
  MetadataStore& store_;
  std::optional<core::RecordId> after_;
  Rows page_;
  std::size_t at_ = 0;
  bool last_ = false;
};

class Copy {
 public:
  Copy(core::Runtime& runtime, MetadataStore& from, MetadataStore& to, CopyProgress progress)
      : runtime_(runtime), from_(from), to_(to), progress_(std::move(progress)) {}

  Task<Result<CopyReport>> run();

 private:
  Task<Result<void>> copy_all();
  Task<Result<void>> compare_all();
  Task<Result<void>> check_late();
  Task<Result<void>> insert(Rows rows);
  void compare(const MetadataRow& source, const MetadataRow& target);
  void note_different(const core::RecordId& id, std::string in);

  core::Runtime& runtime_;
  MetadataStore& from_;
  MetadataStore& to_;
  const CopyProgress progress_;
  CopyReport report_;
  std::vector<core::RecordId> late_;
};

Task<Result<CopyReport>> Copy::run() {
  const core::SteadyTime began = runtime_.steady_now();
  if (auto copied = co_await copy_all(); !copied) co_return pass(copied);
  if (auto compared = co_await compare_all(); !compared) co_return pass(compared);
  if (auto checked = co_await check_late(); !checked) co_return pass(checked);
  report_.seconds = std::chrono::duration<double>(runtime_.steady_now() - began).count();
  co_return std::move(report_);
}

Task<Result<void>> Copy::insert(Rows rows) {
  co_return co_await patiently(
      runtime_, [this, &rows](core::Deadline deadline) { return to_.insert(rows, deadline); });
}

Task<Result<void>> Copy::copy_all() {
  std::optional<core::RecordId> after;
  for (std::uint64_t done = 0;;) {
    auto page = co_await patiently(runtime_, [this, after](core::Deadline deadline) {
      return from_.scan(after, kPageRows, deadline);
    });
    if (!page) co_return pass(page);
    const bool last = page->size() < kPageRows;
    if (page->empty()) co_return Result<void>{};
    after = page->back().envelope.id;
    done += page->size();
    if (auto inserted = co_await insert(std::move(*page)); !inserted) co_return inserted;
    progress_(1, done);
    if (last) co_return Result<void>{};
  }
}

Task<Result<void>> Copy::compare_all() {
  RowReader sources(runtime_, from_);
  RowReader targets(runtime_, to_);
  Rows missing;
  for (;;) {
    const auto source = co_await sources.next();
    if (!source) co_return pass(source);
    const auto target = co_await targets.next();
    if (!target) co_return pass(target);
    if (*source == nullptr && *target == nullptr) break;
    const bool only_source =
        *target == nullptr ||
        (*source != nullptr && (*source)->envelope.id < (*target)->envelope.id);
    const bool only_target =
        *source == nullptr ||
        (*target != nullptr && (*target)->envelope.id < (*source)->envelope.id);
    if (!only_source && !only_target) compare(**source, **target);
    if (!only_source) {
      report_.only_in_target += only_target ? 1 : 0;
      targets.take();
    }
    if (only_target) continue;
    MetadataRow row = sources.take();
    ++report_.rows;
    if (only_source) {
      late_.push_back(row.envelope.id);
      missing.push_back(std::move(row));
    }
    if (report_.rows % kPageRows == 0) progress_(2, report_.rows);
    if (missing.size() >= kPageRows) {
      if (auto inserted = co_await insert(std::exchange(missing, {})); !inserted) {
        co_return inserted;
      }
    }
  }
  if (missing.empty()) co_return Result<void>{};
  co_return co_await insert(std::move(missing));
}

Task<Result<void>> Copy::check_late() {
  for (const core::RecordId& id : late_) {
    const auto source = co_await patiently(
        runtime_, [this, id](core::Deadline deadline) { return from_.find(id, deadline); });
    if (!source) co_return pass(source);
    const auto target = co_await patiently(
        runtime_, [this, id](core::Deadline deadline) { return to_.find(id, deadline); });
    if (!target) co_return pass(target);
    if (!*source) continue;  // taken out of the source meanwhile
    if (!*target) {
      note_different(id, "it is missing in the target");
    } else {
      compare(**source, **target);
    }
    progress_(3, ++report_.late);
  }
  co_return Result<void>{};
}

void Copy::compare(const MetadataRow& source, const MetadataRow& target) {
  if (source == target) {
    ++report_.equal;
  } else if (const std::string in = storage::content_difference(source, target); in.empty()) {
    ++report_.separately;
  } else {
    note_different(source.envelope.id, in);
  }
}

void Copy::note_different(const core::RecordId& id, std::string in) {
  ++report_.different_count;
  if (report_.different.size() < kDifferentNamed) {
    report_.different.push_back({id.str(), std::move(in)});
  }
}

}  // namespace

Task<Result<CopyReport>> copy_metadata(core::Runtime& runtime, MetadataStore& from,
                                       MetadataStore& to, CopyProgress progress) {
  Copy copy(runtime, from, to, std::move(progress));
  co_return co_await copy.run();
}

}  // namespace daybook::api
