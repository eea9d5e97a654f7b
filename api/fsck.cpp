// What there is: the five places are read one after the other, in the order in which a record
// passes them, so that one that moves on meanwhile is seen at least once.
#include "api/fsck.hpp"

#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "api/cli_output.hpp"
#include "core/limits.hpp"
#include "storage/blocking_call.hpp"
#include "storage/spool_file.hpp"
#include "storage/spool_segment.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::ListedObject;
using core::RecordId;
using core::Result;
using core::Task;
using storage::BufferSight;
using storage::TrailContents;

constexpr auto kObjectTimeout = std::chrono::seconds(120);
constexpr auto kScanTimeout = std::chrono::seconds(30);

// A serving process holds this lock (api/node.cpp).
bool is_locked(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool locked = ::flock(file, LOCK_SH | LOCK_NB) != 0;
  ::close(file);
  return locked;
}

}  // namespace

Fsck::Fsck(const core::Config& config, FsckOptions options, io::IoRuntime& runtime,
           OfflineStores& stores, storage::RedisScan& buffer)
    : config_(config),
      options_(options),
      runtime_(runtime),
      stores_(stores),
      buffer_(buffer),
      bar_(options.progress) {}

Task<Result<FsckReport>> Fsck::run() {
  const core::SteadyTime began = runtime_.steady_now();
  server_runs_ = is_locked(config_.node_data_dir + "/ingest.lock");
  if (auto seen = co_await see_trail(); !seen) co_return pass(std::move(seen));
  see_spool();
  if (auto seen = co_await see_buffer(); !seen) co_return pass(std::move(seen));
  auto seen = co_await see_objects();
  bar_.clear();
  if (!seen) co_return pass(std::move(seen));
  if (seen = co_await see_rows(); !seen) co_return pass(std::move(seen));
  if (auto judged = co_await judge_all(); !judged) co_return pass(std::move(judged));
  co_await see_leftovers();
  report_.seconds = std::chrono::duration<double>(runtime_.steady_now() - began).count();
  co_return std::move(report_);
}

void Fsck::found(std::string kind, std::string subject, std::string detail, std::string repair) {
  ++report_.counts[kind];
  if (report_.findings.size() >= kFindingsMax) return;
  report_.findings.push_back(
      {std::move(kind), std::move(subject), std::move(detail), std::move(repair)});
}

bool Fsck::may_be_arriving(RecordId id) {
  const core::WallTime made{std::chrono::milliseconds(id.unix_ms())};
  const auto longest = config_.server_body_timeout + config_.buffer_append_timeout;
  return server_runs_ && runtime_.now() - made < longest;
}

Task<Fsck::Outcome> Fsck::see_trail() {
  const std::string dir = config_.node_data_dir + "/trail";
  auto trail = co_await storage::call_on<TrailContents>(
      stores_.workers(), core::Origin::self, [dir] { return storage::read_trail(dir, {}); });
  if (!trail) co_return pass(std::move(trail));
  for (const auto& [id, record] : trail->records) {
    Facts& facts = facts_[id];
    facts.trail = true;
    facts.fate = record.fate;
    facts.sha256 = record.sha256;
  }
  report_.trail_records = trail->records.size();
  if (trail->files == 0) {
    report_.notes.push_back("There is no trail in " + dir +
                            ": records that are missing everywhere cannot be found. The trail is "
                            "the node's that took them.");
  }
  for (const std::string& file : trail->torn) {
    report_.notes.push_back("The last line of " + file +
                            " is torn and was left out: its node died while it wrote.");
  }
  for (const std::string& file : trail->damaged) {
    found("damaged", file, "lines in the middle of this trail file cannot be read");
  }
  co_return Outcome{};
}

// Records in the spool are on their way into the buffer; what is in its quarantine is not.
void Fsck::see_spool() {
  std::error_code error;
  const std::string& dir = config_.spool_dir;
  for (std::filesystem::directory_iterator entry(dir, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() != ".segment") continue;
    auto file = storage::SegmentReader::open(entry->path().string());
    if (!file) continue;  // its last record has just gone to the buffer
    const auto read = [&](std::uint64_t offset, std::uint64_t length) {
      return file->read(offset, length);
    };
    const auto segment = storage::spool::scan(read, file->bytes());
    if (!segment) continue;
    for (const storage::spool::Located& record : segment->records) {
      facts_[record.head.id].spool = true;
    }
  }
  for (std::filesystem::directory_iterator entry(dir + "/quarantine", error), end;
       !error && entry != end; entry.increment(error)) {
    found("quarantined", entry->path().string(),
          "bytes of the spool that could not be read as a record; look at them, then remove them");
  }
}

Task<Fsck::Outcome> Fsck::see_buffer() {
  const auto partitions = co_await buffer_.partitions(runtime_.steady_now() + kScanTimeout);
  if (!partitions) co_return pass(partitions);
  const auto see = [this](RecordId id, BufferSight sight) {
    BufferSight& known = facts_[id].buffer;
    if (sight.entry() && !known.entry()) ++report_.buffered;
    known.pending = known.pending || sight.pending;
    known.parked = known.parked || sight.parked;
    known.bytes = known.bytes || sight.bytes;
  };
  co_return co_await buffer_.visit_all(*partitions, see, kScanTimeout);
}

Task<Fsck::Outcome> Fsck::see_objects() {
  const std::string prefix = archive_key_prefix(config_);
  if (options_.progress && is_terminal(STDERR_FILENO)) {
    const auto counted = co_await count_archive(runtime_, stores_.objects(), prefix);
    if (!counted) co_return pass(counted);
    totals_ = *counted;
  }
  auto walked =
      co_await walk_archive(runtime_, stores_.objects(), prefix, stores_.together(),
                            [this](ListedObject object) { return see_object(std::move(object)); });
  if (segments_ != 0) {
    report_.notes.push_back(std::to_string(segments_) + " of the objects are segments, of " +
                            std::to_string(segment_records_) + " records.");
  }
  if (superseded_ != 0) {
    report_.notes.push_back(
        std::to_string(superseded_) +
        " records are in one more segment than their row names: a process died before it had "
        "indexed them, and they were archived again. The copies are equal and do no harm.");
  }
  if (others_ != 0) {
    report_.notes.push_back(std::to_string(others_) +
                            " objects below the archive's prefix are no records; not looked at.");
  }
  co_return walked;
}

Task<Fsck::Outcome> Fsck::see_object(ListedObject object) {
  if (core::segment_of_key(object.key)) co_return co_await see_segment(std::move(object));
  const auto id = core::id_of_object_key(object.key);
  if (!id) {
    ++others_;
    co_return Outcome{};
  }
  ++report_.objects;
  report_.bytes += object.size;
  bar_.draw({report_.objects, totals_.objects, report_.bytes, totals_.bytes, 0});
  if (std::exchange(facts_[*id].object, true)) {
    found("duplicate", id->str(), "a second object of this record: " + object.key);
  }
  const auto wrong = co_await examine(object, *id);
  if (!wrong && wrong.error().code == Code::not_found) {
    facts_[*id].object = false;  // gone since it was listed
    co_return Outcome{};
  }
  if (!wrong) co_return pass(wrong);
  if (wrong->empty()) co_return Outcome{};
  facts_[*id].damaged = true;
  found("damaged", id->str(), object.key + ": " + *wrong);
  co_return Outcome{};
}

Task<Result<std::string>> Fsck::examine(ListedObject object, RecordId id) {
  const auto row = co_await stores_.metadata().find(id, soon());
  if (!row) co_return pass(row);
  if (!*row) unindexed_[id] = {object, {}};
  const auto bytes = co_await stores_.objects().get(object.key, std::nullopt,
                                                    runtime_.steady_now() + kObjectTimeout);
  if (!bytes && bytes.error().code == Code::damaged) co_return bytes.error().detail;
  if (!bytes) co_return pass(bytes);
  Result<core::CheckedObject> checked;
  co_await stores_.workers().run(
      [&] { checked = core::check_object(*bytes, depth(row->has_value())); });
  const std::string said = *row ? (*row)->object_key : object.key;
  std::string wrong =
      *row && said != object.key ? compare_copy(checked, id, **row) : compare(checked, id, *row);
  if (wrong.empty() && said != object.key && !core::segment_of_key(said)) {
    found("duplicate", id.str(), object.key + " is not the object that the row names: " + said);
  }
  co_return wrong;
}

// A copy beside the object that the row names: a transform may have given it other attributes, but
// no other payload.
std::string Fsck::compare_copy(const Result<core::CheckedObject>& checked, RecordId id,
                               const core::MetadataRow& row) {
  const bool transformed = row.envelope.context.contains("transform") ||
                           (checked && checked->head.envelope.context.contains("transform"));
  if (!transformed) return compare(checked, id, row);
  std::string wrong = compare(checked, id, std::nullopt);
  if (wrong.empty() && checked->head.envelope.sha256 != row.envelope.sha256) {
    wrong = "its payload is not the one its row names";
  }
  return wrong;
}

std::string Fsck::compare(const Result<core::CheckedObject>& checked, RecordId id,
                          const std::optional<core::MetadataRow>& row) {
  if (!checked) return checked.error().detail;
  const core::Envelope& envelope = checked->head.envelope;
  if (envelope.id != id) return "its envelope names record " + envelope.id.str();
  const Facts& facts = facts_[id];
  if (facts.trail && facts.sha256 != envelope.sha256) {
    return "its payload is not the one the trail names (SHA-256 " + facts.sha256.hex() + ")";
  }
  if (!row) return "";
  if (row->stored_sha256 != checked->stored_sha256) {
    return "it has SHA-256 " + checked->stored_sha256.hex() + ", its row says " +
           row->stored_sha256.hex();
  }
  if (row->stored_size != checked->stored_size || row->envelope != envelope) {
    return "its row tells other things about the record than its envelope";
  }
  return "";
}

Task<Fsck::Outcome> Fsck::see_rows() {
  std::optional<RecordId> after;
  for (;;) {
    const auto rows =
        co_await stores_.metadata().scan(after, core::limits::kPageRecordsMax, soon());
    if (!rows) co_return pass(rows);
    for (const core::MetadataRow& row : *rows) facts_[row.envelope.id].row = true;
    report_.rows += rows->size();
    if (rows->size() < core::limits::kPageRecordsMax) co_return Outcome{};
    after = rows->back().envelope.id;
  }
}

}  // namespace daybook::api
