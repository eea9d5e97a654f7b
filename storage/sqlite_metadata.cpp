#include "storage/sqlite_metadata.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "storage/blocking_call.hpp"
#include "storage/row_texts.hpp"
#include "storage/sqlite_connection.hpp"
#include "storage/sqlite_feed.hpp"
#include "storage/sqlite_rows.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::FeedBounds;
using core::FeedEntry;
using core::MetadataQuery;
using core::MetadataRow;
using core::Origin;
using core::Result;
using core::Retry;

constexpr core::Duration kProbeWait = std::chrono::milliseconds(250);

// A new file is only there after a power cut if its folder knows it.
Result<void> sync_folder_of(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (synced) return {};
  return core::fail(Code::unavailable, Origin::metadata, Retry::safe,
                    "Could not fsync the folder " + folder.string() + ": " +
                        std::generic_category().message(error) + ". Check the disk.");
}

// The rows that the statement still has.
Result<std::vector<MetadataRow>> read_rows(SqliteStatement& statement) {
  std::vector<MetadataRow> rows;
  for (;;) {
    const auto more = statement.step();
    if (!more) return pass(more);
    if (!*more) return rows;
    auto row = read_record(statement);
    if (!row) return pass(row);
    rows.push_back(std::move(*row));
  }
}

}  // namespace

SqliteMetadata::SqliteMetadata(Settings settings, core::Workers& writer, core::Workers& reader)
    : settings_(std::move(settings)), writer_(writer), reader_(reader) {}

SqliteMetadata::~SqliteMetadata() {
  read_.reset();  // the writer closes last: it folds the WAL into the file
}

Result<std::unique_ptr<SqliteMetadata>> SqliteMetadata::open(Settings settings,
                                                             core::Workers& writer,
                                                             core::Workers& reader) {
  std::error_code error;
  settings.file = std::filesystem::absolute(settings.file, error);
  std::unique_ptr<SqliteMetadata> store(new SqliteMetadata(std::move(settings), writer, reader));
  try {
    if (auto prepared = store->prepare(); !prepared) return pass(prepared);
  } catch (const std::exception& exception) {
    return core::fail(Code::internal, Origin::metadata, Retry::never, exception.what());
  }
  return store;
}

Result<void> SqliteMetadata::prepare() {
  const std::string file = settings_.file.string();
  auto write = SqliteConnection::open(file, SqliteConnection::Mode::read_write_create);
  if (!write) return pass(write);
  write_ = std::move(*write);
  if (auto limited = write_->limit_waits(settings_.busy_timeout, Deadline::max()); !limited) {
    return limited;
  }
  if (write_->is_read_only()) {
    return core::fail(Code::unavailable, Origin::metadata, Retry::safe,
                      "The metadata file " + file + " can only be read. Give the user that runs " +
                          "Daybook write access to the file and its folder.");
  }
  const auto mode = write_->text("PRAGMA journal_mode = WAL");
  if (!mode) return pass(mode);
  if (*mode != "wal") {
    return core::fail(Code::misconfigured, Origin::metadata, Retry::never,
                      "SQLite refuses write-ahead logging for " + file + " (it uses " + *mode +
                          "). Put the file on a local disk.");
  }
  // The WAL is cut back to 64 MiB after a burst.
  if (auto set = write_->execute("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;"
                                 "PRAGMA trusted_schema = OFF;");
      !set) {
    return set;
  }
  if (auto migrated = migrate(); !migrated) return migrated;
  if (auto kept = sync_folder_of(settings_.file); !kept) return kept;

  auto read = SqliteConnection::open(file, SqliteConnection::Mode::read_only);
  if (!read) return pass(read);
  read_ = std::move(*read);
  return read_->execute("PRAGMA trusted_schema = OFF");
}

Result<void> SqliteMetadata::migrate() {
  const auto check_version = [this](std::int64_t version) -> Result<void> {
    if (version <= kSqliteSchemaVersion) return {};
    return core::fail(Code::misconfigured, Origin::metadata, Retry::never,
                      settings_.file.string() + " has schema version " + std::to_string(version) +
                          ", and this program knows versions up to " +
                          std::to_string(kSqliteSchemaVersion) +
                          ": a newer Daybook wrote it. Start that one, or name another " +
                          "metadata.sqlite_file.");
  };
  auto version = write_->integer("PRAGMA user_version");
  if (!version) return pass(version);
  if (*version >= kSqliteSchemaVersion) return check_version(*version);

  SqliteTransaction transaction(*write_);
  if (auto begun = transaction.begin(); !begun) return begun;
  version = write_->integer("PRAGMA user_version");  // another process may have been quicker
  if (!version) return pass(version);
  if (*version >= kSqliteSchemaVersion) return check_version(*version);
  const auto tables = write_->integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return pass(tables);
  if (*version == 0 && *tables != 0) {
    return core::fail(Code::misconfigured, Origin::metadata, Retry::never,
                      settings_.file.string() +
                          " is an SQLite file of some other program: it has " +
                          "tables but no schema version. Name another metadata.sqlite_file.");
  }
  for (auto step = static_cast<std::size_t>(*version); step < kSqliteSchemaSteps.size(); ++step) {
    if (auto made = write_->execute(kSqliteSchemaSteps[step]); !made) return made;
  }
  return transaction.commit();
}

Result<void> SqliteMetadata::check_file_in_place() const {
  if (!write_->file_has_moved()) return {};
  return core::fail(
      Code::unavailable, Origin::metadata, Retry::safe,
      "The metadata file " + settings_.file.string() +
          " was moved or deleted while it was open: put it back, then restart Daybook.");
}

Result<void> SqliteMetadata::insert_now(const std::vector<MetadataRow>& rows, Deadline deadline) {
  const std::lock_guard lock(write_mutex_);
  if (auto in_time = write_->limit_waits(settings_.busy_timeout, deadline); !in_time) {
    return in_time;
  }
  if (rows.empty()) return {};
  if (auto in_place = check_file_in_place(); !in_place) return in_place;
  const auto insert = write_->prepare(kInsertRecord);
  if (!insert) return pass(insert);
  SqliteTransaction transaction(*write_);
  if (auto begun = transaction.begin(); !begun) return begun;
  std::int64_t skew_ms = 0;
  std::vector<const MetadataRow*> fresh;
  for (const MetadataRow& row : rows) {
    SqliteStatement statement(*write_, *insert);
    if (auto done = insert_record(statement, row); !done) return done;
    if (write_->changed_rows() != 0) fresh.push_back(&row);
    skew_ms = std::max(skew_ms, clock_skew_ms(row.envelope));
  }
  if (auto published = publish(*write_, fresh); !published) return published;
  const auto widen = write_->prepare(kWidenClockSkew);
  if (!widen) return pass(widen);
  {
    SqliteStatement statement(*write_, *widen);
    statement.bind(skew_ms);
    if (auto done = statement.step(); !done) return pass(done);
  }
  if (auto committed = transaction.commit(); !committed) {
    core::Error error = committed.error();
    // A failed fsync does not tell whether the commit will be found after a power cut.
    if (error.code == Code::unavailable) error.retry = Retry::unknown_outcome;
    return core::Failure(std::move(error));
  }
  return {};
}

Result<std::optional<MetadataRow>> SqliteMetadata::find_now(core::RecordId id, Deadline deadline) {
  const std::lock_guard lock(read_mutex_);
  if (auto in_time = read_->limit_waits(settings_.busy_timeout, deadline); !in_time) {
    return pass(in_time);
  }
  const auto select = read_->prepare(kFindRecord);
  if (!select) return pass(select);
  const std::string id_text = id.str();
  SqliteStatement statement(*read_, *select);
  statement.bind(id_text);
  const auto found = statement.step();
  if (!found) return pass(found);
  if (!*found) return std::nullopt;
  auto row = read_record(statement);
  if (!row) return pass(row);
  return std::move(*row);
}

Result<std::vector<MetadataRow>> SqliteMetadata::list_now(const MetadataQuery& query,
                                                          Deadline deadline) {
  if (auto good = check_page(query.limit); !good) return pass(good);
  const std::lock_guard lock(read_mutex_);
  if (auto in_time = read_->limit_waits(settings_.busy_timeout, deadline); !in_time) {
    return pass(in_time);
  }
  Result<std::int64_t> skew_ms = 0;
  if (query.since || query.until) skew_ms = read_->integer("SELECT max_ms FROM clock_skew");
  if (!skew_ms) return pass(skew_ms);
  const ListStatement list = list_statement(query, *skew_ms);
  const auto select = read_->prepare(list.sql);
  if (!select) return pass(select);
  SqliteStatement statement(*read_, *select);
  for (const std::string& text : list.texts) statement.bind(text);
  statement.bind(list.limit);
  return read_rows(statement);
}

Result<std::vector<MetadataRow>> SqliteMetadata::scan_now(std::optional<core::RecordId> after,
                                                          std::uint32_t limit, Deadline deadline) {
  if (auto good = check_page(limit); !good) return pass(good);
  const std::lock_guard lock(read_mutex_);
  if (auto in_time = read_->limit_waits(settings_.busy_timeout, deadline); !in_time) {
    return pass(in_time);
  }
  const auto select = read_->prepare(kScanRecords);
  if (!select) return pass(select);
  const std::string after_text = after ? after->str() : "";
  SqliteStatement statement(*read_, *select);
  statement.bind(after_text);
  statement.bind(static_cast<std::int64_t>(limit));
  return read_rows(statement);
}

Result<std::vector<FeedEntry>> SqliteMetadata::feed_now(std::uint64_t after, std::uint32_t limit,
                                                        Deadline deadline) {
  if (auto good = check_page(limit); !good) return pass(good);
  const std::lock_guard lock(read_mutex_);
  if (auto in_time = read_->limit_waits(settings_.busy_timeout, deadline); !in_time) {
    return pass(in_time);
  }
  return read_feed(*read_, after, limit);
}

Result<FeedBounds> SqliteMetadata::feed_bounds_now(Deadline deadline) {
  const std::lock_guard lock(read_mutex_);
  if (auto in_time = read_->limit_waits(settings_.busy_timeout, deadline); !in_time) {
    return pass(in_time);
  }
  return read_feed_bounds(*read_);
}

Result<std::uint64_t> SqliteMetadata::feed_before_now(core::WallTime since, Deadline deadline) {
  const std::lock_guard lock(read_mutex_);
  if (auto in_time = read_->limit_waits(settings_.busy_timeout, deadline); !in_time) {
    return pass(in_time);
  }
  return read_feed_before(*read_, since);
}

Result<void> SqliteMetadata::probe_now(Deadline deadline) {
  const std::lock_guard lock(write_mutex_);
  if (auto in_time = write_->limit_waits(std::min(settings_.busy_timeout, kProbeWait), deadline);
      !in_time) {
    return in_time;
  }
  if (auto in_place = check_file_in_place(); !in_place) return in_place;
  SqliteTransaction transaction(*write_);  // rolled back at the end of this scope
  return transaction.begin();
}

core::Task<Result<void>> SqliteMetadata::insert(std::vector<MetadataRow> rows, Deadline deadline) {
  co_return co_await call_on<void>(
      writer_, Origin::metadata,
      [this, rows = std::move(rows), deadline] { return insert_now(rows, deadline); });
}

core::Task<Result<std::optional<MetadataRow>>> SqliteMetadata::find(core::RecordId id,
                                                                    Deadline deadline) {
  co_return co_await call_on<std::optional<MetadataRow>>(
      reader_, Origin::metadata, [this, id, deadline] { return find_now(id, deadline); });
}

core::Task<Result<std::vector<MetadataRow>>> SqliteMetadata::list(MetadataQuery query,
                                                                  Deadline deadline) {
  co_return co_await call_on<std::vector<MetadataRow>>(
      reader_, Origin::metadata,
      [this, query = std::move(query), deadline] { return list_now(query, deadline); });
}

core::Task<Result<std::vector<MetadataRow>>> SqliteMetadata::scan(
    std::optional<core::RecordId> after, std::uint32_t limit, Deadline deadline) {
  co_return co_await call_on<std::vector<MetadataRow>>(
      reader_, Origin::metadata,
      [this, after, limit, deadline] { return scan_now(after, limit, deadline); });
}

core::Task<Result<std::vector<FeedEntry>>> SqliteMetadata::feed(std::uint64_t after,
                                                                std::uint32_t limit,
                                                                Deadline deadline) {
  co_return co_await call_on<std::vector<FeedEntry>>(
      reader_, Origin::metadata,
      [this, after, limit, deadline] { return feed_now(after, limit, deadline); });
}

core::Task<Result<FeedBounds>> SqliteMetadata::feed_bounds(Deadline deadline) {
  co_return co_await call_on<FeedBounds>(reader_, Origin::metadata,
                                         [this, deadline] { return feed_bounds_now(deadline); });
}

core::Task<Result<std::uint64_t>> SqliteMetadata::feed_before(core::WallTime since,
                                                              Deadline deadline) {
  co_return co_await call_on<std::uint64_t>(reader_, Origin::metadata, [this, since, deadline] {
    return feed_before_now(since, deadline);
  });
}

core::Task<Result<void>> SqliteMetadata::probe(Deadline deadline) {
  co_return co_await call_on<void>(writer_, Origin::metadata,
                                   [this, deadline] { return probe_now(deadline); });
}

std::string SqliteMetadata::describe() const {
  return "sqlite:" + settings_.file.string();
}

}  // namespace daybook::storage
