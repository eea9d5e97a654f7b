// What it means, and what is safe to do about it. Only three things are: to insert the row of an
// object whose payload was verified, to finish with bytes in the buffer that lost their entry, and
// to delete a temporary file of a dead writer.
#include <algorithm>
#include <filesystem>

#include "api/fsck.hpp"
#include "core/text.hpp"
#include "storage/file_store.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::RecordId;
using core::Result;
using core::Task;
using storage::TrailFate;

// Longer than any append is repeated (kMarkerTime of the buffer).
constexpr auto kOrphanAge = std::chrono::minutes(15);
constexpr auto kLeftoverAge = std::chrono::hours(1);

}  // namespace

Task<Fsck::Outcome> Fsck::judge_all() {
  std::vector<RecordId> ids;
  for (const auto& [id, facts] : facts_) {
    const bool in_order = facts.object && facts.row && !facts.buffer.bytes;
    if (!in_order) ids.push_back(id);
  }
  std::ranges::sort(ids);
  for (const RecordId& id : ids) {
    if (auto judged = co_await judge(id, facts_[id]); !judged) co_return judged;
  }
  if (dropped_ != 0) {
    report_.notes.push_back(std::to_string(dropped_) +
                            " acknowledged records were dropped by command; the buffer keeps "
                            "their account.");
  }
  if (unanswered_ != 0) {
    report_.notes.push_back(
        std::to_string(unanswered_) +
        " records of the trail are nowhere and were never remarked as stored: their node died, or "
        "refused them, while they arrived. Their senders have no receipt and send them again.");
  }
  co_return Outcome{};
}

Task<Fsck::Outcome> Fsck::judge(RecordId id, Facts facts) {
  if (facts.object != facts.row) {
    if (auto judged = co_await judge_object(id, facts); !judged) co_return judged;
  }
  if (facts.buffer.bytes && !facts.buffer.entry()) {
    if (auto judged = co_await judge_bytes(id, facts); !judged) co_return judged;
  }
  if (options_.deep && facts.buffer.bytes && facts.buffer.entry()) {
    if (auto judged = co_await judge_entry(id, facts); !judged) co_return judged;
  }
  const bool held = facts.object || facts.row || facts.spool || facts.buffer.bytes;
  if (!held && (facts.trail || facts.buffer.entry())) co_return co_await judge_missing(id, facts);
  co_return Outcome{};
}

// Buffer first, then row: whoever leaves the one is in the other.
Task<Fsck::Outcome> Fsck::judge_missing(RecordId id, Facts facts) {
  const auto now = co_await buffer_.look(id, soon());
  if (!now) co_return pass(now);
  const auto row = co_await stores_.metadata().find(id, soon());
  if (!row) co_return pass(row);
  if (now->bytes || *row) co_return Outcome{};
  if (now->entry()) {
    found("missing", id.str(), "the buffer has an entry for it, but no bytes");
    co_return Outcome{};
  }
  if (now->dropped) {
    ++dropped_;
    co_return Outcome{};
  }
  if (!facts.trail || facts.fate == TrailFate::failed) co_return Outcome{};
  if (facts.fate == TrailFate::unknown) {
    if (!may_be_arriving(id)) ++unanswered_;
    co_return Outcome{};
  }
  const std::string detail =
      "acknowledged (payload SHA-256 " + facts.sha256.hex() + "), found nowhere";
  found("missing", id.str(), detail, options_.repair ? "nothing can be done here" : "");
  co_return Outcome{};
}

// An object without a row, or a row without an object.
Task<Fsck::Outcome> Fsck::judge_object(RecordId id, Facts facts) {
  if (facts.object) {
    const auto now = co_await buffer_.look(id, soon());
    if (!now) co_return pass(now);
    const auto row = co_await stores_.metadata().find(id, soon());
    if (!row) co_return pass(row);
    if (*row || now->entry() || !unindexed_.contains(id)) co_return Outcome{};
    std::string repair;
    if (options_.repair) {
      auto done = co_await insert_row(id);
      if (!done) co_return pass(std::move(done));
      repair = std::move(*done);
    }
    found("unindexed", id.str(), "no row for " + unindexed_[id].object.key, std::move(repair));
    co_return Outcome{};
  }
  const auto row = co_await stores_.metadata().find(id, soon());
  if (!row) co_return pass(row);
  if (!*row) co_return Outcome{};
  const auto object = co_await stores_.objects().head((*row)->object_key, soon());
  if (object || object.error().code != Code::not_found) {
    co_return object ? Outcome{} : Outcome(pass(object));
  }
  std::string detail = (*row)->object_key + " is gone";
  if (facts.buffer.bytes) detail += "; the bytes are still in the buffer";
  found("row_without_object", id.str(), std::move(detail),
        options_.repair ? "restore the object from a backup or another copy of the archive" : "");
  co_return Outcome{};
}

Task<Fsck::Outcome> Fsck::judge_bytes(RecordId id, Facts facts) {
  const auto now = co_await buffer_.look(id, soon());
  if (!now) co_return pass(now);
  if (!now->bytes || now->entry()) co_return Outcome{};
  const bool archived = facts.object && facts.row && !facts.damaged;
  std::string repair;
  if (options_.repair) {
    auto done = co_await settle_bytes(id, facts);
    if (!done) co_return pass(std::move(done));
    repair = std::move(*done);
  }
  found("orphan", id.str(),
        std::string("its bytes are in the buffer without an entry") +
            (archived ? "; it is archived and indexed" : "; it is not archived"),
        std::move(repair));
  co_return Outcome{};
}

Task<Fsck::Outcome> Fsck::judge_entry(RecordId id, Facts facts) {
  const auto bytes = co_await buffer_.load(id, soon());
  if (!bytes && bytes.error().code == Code::not_found) co_return Outcome{};  // released by now
  if (!bytes) co_return pass(bytes);
  Result<core::CheckedObject> checked;
  co_await stores_.workers().run(
      [&] { checked = core::check_object(core::as_bytes(*bytes), core::CheckDepth::payload); });
  std::string wrong;
  if (!checked) {
    wrong = checked.error().detail;
  } else if (checked->head.envelope.id != id) {
    wrong = "its envelope names record " + checked->head.envelope.id.str();
  } else if (facts.trail && facts.sha256 != checked->head.envelope.sha256) {
    wrong = "its payload is not the one the trail names (SHA-256 " + facts.sha256.hex() + ")";
  }
  if (!wrong.empty()) found("damaged", id.str(), "its bytes in the buffer: " + wrong);
  co_return Outcome{};
}

Task<Result<std::string>> Fsck::insert_row(RecordId id) {
  if (facts_[id].damaged) co_return "none: the object is damaged";
  const auto& [listed, slice] = unindexed_[id];
  const auto bytes = co_await stores_.objects().get(listed.key, slice, soon());
  if (!bytes) co_return pass(bytes);
  Result<core::CheckedObject> checked;
  co_await stores_.workers().run(
      [&] { checked = core::check_object(*bytes, core::CheckDepth::payload); });
  if (!checked) co_return "none: " + checked.error().detail;
  auto inserted = co_await stores_.metadata().insert(
      {core::row_of_object(*checked, listed, runtime_.now(), slice ? slice->offset : 0)}, soon());
  if (!inserted) co_return pass(std::move(inserted));
  ++report_.repaired;
  co_return "row inserted";
}

// A whole record that is archived nowhere gets its entry back, unless it is known that it was
// refused: nothing that could be an acknowledged record's only copy is deleted.
Task<Result<std::string>> Fsck::settle_bytes(RecordId id, Facts facts) {
  const bool archived = facts.object && facts.row && !facts.damaged;
  if (!archived && facts.fate != TrailFate::failed) {
    const auto bytes = co_await buffer_.load(id, soon());
    if (!bytes) co_return pass(bytes);
    Result<core::CheckedObject> checked;
    co_await stores_.workers().run(
        [&] { checked = core::check_object(core::as_bytes(*bytes), core::CheckDepth::payload); });
    if (checked && checked->head.envelope.id == id) {
      const auto restored =
          co_await buffer_.restore_entry(id, checked->stored_size, checked->stored_sha256, soon());
      if (!restored) co_return pass(restored);
      report_.repaired += *restored ? 1 : 0;
      co_return "entry restored: the pipeline archives it";
    }
    if (facts.trail && facts.fate == TrailFate::stored) {
      co_return "kept: damaged, but the only bytes of an acknowledged record";
    }
  }
  const core::WallTime made{std::chrono::milliseconds(id.unix_ms())};
  if (runtime_.now() - made < kOrphanAge) co_return "kept: younger than 15 minutes";
  const auto dropped = co_await buffer_.drop_bytes(id, soon());
  if (!dropped) co_return pass(dropped);
  report_.repaired += *dropped ? 1 : 0;
  co_return *dropped ? "bytes deleted" : "none: it has an entry by now";
}

// A writer locks its file a moment after it has made it, so they are looked for twice.
Task<> Fsck::see_leftovers() {
  if (config_.archive_kind != "file") co_return;
  const auto first = storage::find_leftovers(config_.archive_file_dir);
  if (first.empty()) co_return;
  co_await runtime_.sleep(std::chrono::milliseconds(500));
  for (const storage::Leftover& left : storage::find_leftovers(config_.archive_file_dir)) {
    if (std::ranges::find(first, left.file, &storage::Leftover::file) == first.end()) continue;
    const double seconds = std::chrono::duration<double>(left.age).count();
    std::string repair;
    if (options_.repair && left.age < kLeftoverAge) repair = "kept: younger than an hour";
    if (options_.repair && left.age >= kLeftoverAge) {
      std::error_code error;
      const bool removed = std::filesystem::remove(left.file, error);
      report_.repaired += removed ? 1 : 0;
      repair = removed ? "file deleted" : "none: " + error.message();
    }
    found("residue", left.file.string(),
          "a temporary file whose writer is dead, " +
              std::to_string(static_cast<std::int64_t>(seconds)) + " s old",
          std::move(repair));
  }
}

}  // namespace daybook::api
