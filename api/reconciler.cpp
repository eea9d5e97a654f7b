#include "api/reconciler.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "api/segment_lookup.hpp"
#include "core/limits.hpp"
#include "storage/blocking_call.hpp"

namespace daybook::api {
namespace {

using core::RecordId;
using core::Result;
using core::Task;
using storage::TrailFate;
using storage::TrailRecord;

constexpr auto kTick = std::chrono::seconds(1);
constexpr auto kWindow = std::chrono::hours(24);
constexpr auto kMissingAgain = std::chrono::minutes(1);
constexpr auto kTimeout = std::chrono::seconds(30);
constexpr std::size_t kNamedMax = 100;

// Before every id of its millisecond, after every earlier one.
RecordId just_before(const RecordId& id) {
  auto bytes = id.bytes();
  std::fill(bytes.begin() + 6, bytes.end(), 0);
  return RecordId(bytes);
}

}  // namespace

Reconciler::Reconciler(Services services, const core::Config& config)
    : services_(std::move(services)), config_(config), stop_(services_.runtime.make_signal()) {
  services_.metrics.set(services_.metrics.records_missing, 0);
}

void Reconciler::close() {
  closing_ = true;
  stop_->notify_all();
}

Task<> Reconciler::run() {
  // The second look comes when the appends that were under way have ended and their remarks are
  // written.
  const core::Duration settled = std::min<core::Duration>(
      config_.buffer_append_timeout + std::chrono::seconds(1), kMissingAgain);
  std::uint64_t seen = services_.buffer.times_replaced();
  int looks = 2;
  core::SteadyTime next{};
  while (!closing_) {
    co_await stop_->wait(services_.runtime.steady_now() + kTick);
    const core::SteadyTime now = services_.runtime.steady_now();
    if (services_.buffer.times_replaced() != seen) {
      spdlog::warn(
          "Redis was restarted, replaced or emptied, or slots moved: comparing the trail with the "
          "stores");
      seen = services_.buffer.times_replaced();
      looks = 2;
      next = now;
    }
    if (closing_ || now < next || !services_.buffer.health()) continue;
    if (auto done = co_await reconcile(); !done) {
      spdlog::warn("the trail could not be compared with the stores yet: {}", done.error().detail);
      next = now + kMissingAgain;
      continue;
    }
    looks = std::max(0, looks - 1);
    next = looks > 0          ? now + settled
           : missing_.empty() ? core::SteadyTime::max()
                              : now + kMissingAgain;
  }
}

Task<Result<void>> Reconciler::reconcile() {
  const core::WallTime since = services_.runtime.now() - kWindow;
  const std::string dir = config_.node_data_dir + "/trail";
  const auto files = co_await storage::call_on<std::vector<std::string>>(
      services_.workers, core::Origin::self,
      [dir, since] { return storage::list_trail(dir, since); });
  if (!files) co_return pass(files);
  archive_answers_ = true;
  Outcome outcome;
  for (std::size_t i = 0; i < files->size() && !closing_; ++i) {
    const std::string next = i + 1 < files->size() ? (*files)[i + 1] : "";
    auto done = co_await reconcile_file((*files)[i], next, outcome);
    if (!done) co_return done;
  }
  if (closing_) co_return Result<void>{};
  if (outcome.unanswered > unanswered_) {
    spdlog::info(
        "{} records of the trail were cut off while they arrived: they are nowhere, and their "
        "senders have no receipt",
        outcome.unanswered);
  }
  unanswered_ = outcome.unanswered;
  std::ranges::sort(outcome.missing);
  tell(std::move(outcome.missing));
  co_return Result<void>{};
}

Task<Result<void>> Reconciler::reconcile_file(std::string file, std::string next, Outcome& out) {
  auto trail = co_await storage::call_on<storage::TrailContents>(
      services_.workers, core::Origin::self,
      [file, next] { return storage::read_trail_file(file, next); });
  if (!trail) co_return pass(std::move(trail));
  Records records = std::move(trail->records);
  std::erase_if(records, [](const auto& entry) { return entry.second.fate == TrailFate::failed; });
  if (auto dropped = co_await drop_indexed(records); !dropped) co_return dropped;
  for (const auto& [id, record] : records) {
    if (closing_) co_return Result<void>{};
    const auto place = co_await look_for(id, record);
    if (!place) co_return pass(place);
    if (*place != Place::nowhere) continue;
    if (record.fate == TrailFate::stored) {
      out.missing.push_back(id);
    } else {
      ++out.unanswered;
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> Reconciler::drop_indexed(Records& records) {
  if (records.empty()) co_return Result<void>{};
  const RecordId last = records.rbegin()->first;
  std::optional<RecordId> after = just_before(records.begin()->first);
  for (;;) {
    const auto rows = co_await services_.metadata.scan(after, core::limits::kPageRecordsMax,
                                                       services_.runtime.steady_now() + kTimeout);
    if (!rows) co_return pass(rows);
    for (const core::MetadataRow& row : *rows) records.erase(row.envelope.id);
    if (closing_ || rows->size() < core::limits::kPageRecordsMax) co_return Result<void>{};
    after = rows->back().envelope.id;
    if (*after >= last) co_return Result<void>{};
  }
}

// Buffer first, then row: whoever leaves the one is in the other.
Task<Result<Reconciler::Place>> Reconciler::look_for(RecordId id, TrailRecord record) {
  const core::Deadline deadline = services_.runtime.steady_now() + kTimeout;
  const auto sight = co_await services_.scan.look(id, deadline);
  if (!sight) co_return pass(sight);
  if (sight->bytes || sight->dropped) co_return Place::held;
  if (services_.held_elsewhere && services_.held_elsewhere(id)) co_return Place::held;
  const auto row = co_await services_.metadata.find(id, deadline);
  if (!row) co_return pass(row);
  if (*row) co_return Place::held;
  // An archive that cannot be asked delays no alarm, and is not asked again in this round: a record
  // is seldom there and not indexed. The next look takes it back.
  if (archive_answers_) {
    const auto archived = co_await index_from_archive(id);
    archive_answers_ = archived || archived.error().origin != core::Origin::object_store;
    if (!archived && archive_answers_) co_return pass(archived);
    if (archived && *archived) co_return Place::held;
  }
  const core::WallTime made{std::chrono::milliseconds(id.unix_ms())};
  const auto longest = config_.server_body_timeout + config_.buffer_append_timeout;
  const bool arriving = services_.runtime.now() - made < longest;
  co_return record.fate == TrailFate::unknown&& arriving ? Place::on_its_way : Place::nowhere;
}

// Its key is known but for the end of its name: the hour is that of the last byte, which came at
// most server.body_timeout after the id was made.
Task<Result<bool>> Reconciler::index_from_archive(RecordId id) {
  core::Envelope named;
  named.id = id;
  named.tenant = config_.ingest_tenant;
  const core::WallTime made{std::chrono::milliseconds(id.unix_ms())};
  std::string before;
  for (const core::WallTime at : {made, made + config_.server_body_timeout}) {
    named.received_at = at;
    const std::string key = core::object_key(named, config_.archive_prefix);
    const std::string front = key.substr(0, key.find(id.str()) + id.str().size()) + ".";
    if (front == before) continue;
    before = front;
    const core::Deadline deadline = services_.runtime.steady_now() + kTimeout;
    const auto listed = co_await services_.objects.list(front, "", 1, deadline);
    if (!listed) co_return pass(listed);
    if (listed->empty()) {
      auto in_segment = co_await find_in_segments(services_.objects, services_.workers,
                                                  key.substr(0, key.rfind('/') + 1), id, deadline);
      if (!in_segment) co_return pass(std::move(in_segment));
      if (!*in_segment) continue;
      (*in_segment)->indexed_at = services_.runtime.now();
      if (auto done = co_await index(std::move(**in_segment)); !done) co_return pass(done);
      co_return true;
    }
    const auto bytes = co_await services_.objects.get(listed->front().key, std::nullopt, deadline);
    if (!bytes) co_return pass(bytes);
    Result<core::CheckedObject> checked;
    co_await services_.workers.run(
        [&] { checked = core::check_object(*bytes, core::CheckDepth::payload); });
    if (!checked || checked->head.envelope.id != id) {
      spdlog::error("record {}: its object {} is damaged and has no row: {}", id.str(),
                    listed->front().key, checked ? "another id" : checked.error().detail);
      continue;
    }
    auto done =
        co_await index(core::row_of_object(*checked, listed->front(), services_.runtime.now()));
    if (!done) co_return pass(std::move(done));
    co_return true;
  }
  co_return false;
}

Task<Result<void>> Reconciler::index(core::MetadataRow row) {
  const RecordId id = row.envelope.id;
  auto inserted = co_await services_.metadata.insert({std::move(row)},
                                                     services_.runtime.steady_now() + kTimeout);
  if (!inserted) co_return inserted;
  spdlog::warn("record {} was archived but not indexed, and its buffer entry is gone: indexed it",
               id.str());
  co_return inserted;
}

void Reconciler::tell(std::vector<RecordId> missing) {
  std::size_t named = 0;
  std::size_t fresh = 0;
  for (const RecordId& id : missing) {
    if (std::ranges::binary_search(missing_, id)) continue;
    ++fresh;
    if (++named > kNamedMax) continue;
    spdlog::error("acknowledged record {} is LOST: it is in no store of this node", id.str());
  }
  if (fresh > kNamedMax) {
    spdlog::error("{} more acknowledged records are LOST; daybook fsck lists them",
                  fresh - kNamedMax);
  }
  if (missing.empty() && !missing_.empty()) spdlog::info("no acknowledged record is missing now");
  missing_ = std::move(missing);
  services_.metrics.set(services_.metrics.records_missing, static_cast<double>(missing_.size()));
}

}  // namespace daybook::api
