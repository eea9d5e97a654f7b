// What the SQLite store promises beyond the contract: its file, its locks, and what a fault leaves
// behind.
#include "storage/sqlite_metadata.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "storage/sqlite_connection.hpp"
#include "storage/sqlite_rows.hpp"
#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/contract/sync_faults.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::storage {
namespace {

namespace fs = std::filesystem;
using core::Code;
using core::Retry;
using std::chrono::milliseconds;
using tests::bare_row;
using tests::query;
using tests::run_task;
using tests::soon;
using tests::within;

class SqliteMetadataTest : public testing::Test {
 protected:
  core::Result<void> try_open(const fs::path& file, milliseconds busy_timeout = milliseconds(300)) {
    store_.reset();
    auto opened =
        SqliteMetadata::open({.file = file, .busy_timeout = busy_timeout}, workers_, workers_);
    if (!opened) return pass(opened);
    store_ = std::move(*opened);
    return {};
  }
  void open(const fs::path& file) {
    const auto opened = try_open(file);
    ASSERT_TRUE(opened) << opened.error().detail;
  }
  // Somebody else's connection to the file.
  std::unique_ptr<SqliteConnection> stranger() {
    return SqliteConnection::open(file_.string(), SqliteConnection::Mode::read_write_create)
        .value();
  }
  void execute(const char* sql) {
    const auto done = stranger()->execute(sql);
    ASSERT_TRUE(done) << done.error().detail;
  }

  core::MetadataRow next_row() {
    now_ += std::chrono::seconds(1);
    return bare_row(ids_.next(now_, 0), now_);
  }
  core::Result<void> insert(std::vector<core::MetadataRow> rows) {
    return run_task(store_->insert(std::move(rows), soon()));
  }
  std::size_t count() {
    const auto rows = run_task(store_->list(tests::query_of_limit(1000), soon()));
    EXPECT_TRUE(rows) << rows.error().detail;
    return rows ? rows->size() : 0;
  }
  template <class T>
  static void expect_error(const core::Result<T>& result, Code code, Retry retry) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().detail;
    EXPECT_EQ(result.error().retry, retry) << result.error().detail;
    EXPECT_EQ(result.error().origin, core::Origin::metadata);
  }
  // Runs job, returns how long it took.
  static milliseconds time_of(const std::function<void()>& job) {
    const auto start = std::chrono::steady_clock::now();
    job();
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
  }

  tests::TemporaryFolder folder_;
  fs::path file_ = folder_.path() / "metadata.sqlite";
  tests::InlineWorkers workers_;
  std::unique_ptr<SqliteMetadata> store_;
  core::RecordIdGenerator ids_;
  core::WallTime now_ = tests::wall_time(1'795'233'906'000'000);
};

TEST_F(SqliteMetadataTest, keeps_its_rows_when_it_is_opened_again) {
  open(file_);
  const auto row = tests::full_row(ids_.next(now_, 5), now_);
  ASSERT_TRUE(insert({row}));
  open(file_);
  const auto found = run_task(store_->find(row.envelope.id, soon()));
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(*found, row);
  EXPECT_EQ(store_->describe(), "sqlite:" + file_.string());
}

TEST_F(SqliteMetadataTest, names_the_columns_as_promised_and_can_be_read_by_the_sqlite3_command) {
  open(file_);
  ASSERT_TRUE(
      insert({tests::full_row(*core::RecordId::parse("0190a5f0-0000-7000-8000-00000000000a"),
                              tests::wall_time(1'795'233'906'123'456))}));
  if (std::system("command -v sqlite3 >/dev/null") != 0) GTEST_SKIP() << "no sqlite3 command";
  const std::string command =
      "sqlite3 -json " + file_.string() +
      " 'SELECT id, tenant, source, event_id, type, subject, event_time, received_at, "
      "content_type, "
      "size, stored_size, data_offset, frames, object_key, object_version, partition, position, "
      "leaf_index, state, attempts, durability, idempotency_key, attributes, indexed_at, "
      "length(sha256) AS digits, length(stored_sha256) AS stored_digits FROM records' 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  std::array<char, 4096> piece{};
  while (std::fgets(piece.data(), piece.size(), pipe) != nullptr) output += piece.data();
  EXPECT_EQ(::pclose(pipe), 0) << output;
  EXPECT_EQ(
      output,
      R"([{"id":"0190a5f0-0000-7000-8000-00000000000a","tenant":"bank","source":"urn:core:7",)"
      R"("event_id":"event-1","type":"audit.login","subject":"user/42",)"
      R"("event_time":"2026-11-21T04:05:04.888889Z","received_at":"2026-11-21T04:05:06.123456Z",)"
      R"("content_type":"application/json; charset=utf-8","size":2097157,"stored_size":5000000000,)"
      R"("data_offset":512,"frames":"[100000,4294967295,17]",)"
      R"("object_key":"bank/2026/11/21/04/x.json.zst","object_version":"v7","partition":3,)"
      R"("position":"1795233906123-0","leaf_index":null,"state":"indexed","attempts":2,)"
      R"("durability":"fsync","idempotency_key":"key-1",)"
      R"("attributes":"{\"traceparent\":\"00-abc-def-01\",\"zone\":\"eu\"}",)"
      R"("indexed_at":"2026-11-21T04:05:13.123457Z","digits":64,"stored_digits":64}])"
      "\n");
}

TEST_F(SqliteMetadataTest, uses_write_ahead_logging_and_strict_types) {
  open(file_);
  const auto other = stranger();
  EXPECT_EQ(other->text("PRAGMA journal_mode").value(), "wal");
  EXPECT_EQ(other->integer("PRAGMA user_version").value(), kSqliteSchemaVersion);
  EXPECT_EQ(other->integer("SELECT strict FROM pragma_table_list WHERE name = 'records'").value(),
            1);
}

TEST_F(SqliteMetadataTest, fsyncs_before_it_confirms) {
  open(file_);
  int syncs = 0;
  const tests::SyncHook hook([&](const std::string& path) {
    syncs += path.ends_with("-wal") ? 1 : 0;
    return 0;
  });
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(insert({next_row(), next_row()}));
    EXPECT_GE(syncs, i) << "synchronous is not FULL";
  }
}

TEST_F(SqliteMetadataTest, says_unavailable_after_the_busy_timeout_and_serves_readers_meanwhile) {
  open(file_);
  ASSERT_TRUE(insert({next_row()}));
  const auto other = stranger();
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE"));
  const auto took =
      time_of([&] { expect_error(insert({next_row()}), Code::unavailable, Retry::safe); });
  EXPECT_GE(took, milliseconds(250));
  EXPECT_LE(took, milliseconds(2000));
  EXPECT_EQ(count(), 1);
  expect_error(run_task(store_->probe(soon())), Code::unavailable, Retry::safe);
  ASSERT_TRUE(other->execute("ROLLBACK"));
  EXPECT_TRUE(insert({next_row()}));
  EXPECT_EQ(count(), 2);
}

TEST_F(SqliteMetadataTest, waits_for_a_lock_no_longer_than_the_deadline_allows) {
  ASSERT_TRUE(try_open(file_, std::chrono::seconds(20)));
  const auto other = stranger();
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE"));
  const auto insert_took = time_of([&] {
    expect_error(run_task(store_->insert({next_row()}, within(milliseconds(200)))),
                 Code::unavailable, Retry::safe);
  });
  EXPECT_LE(insert_took, milliseconds(2000));
  const auto probe_took = time_of(
      [&] { expect_error(run_task(store_->probe(soon())), Code::unavailable, Retry::safe); });
  EXPECT_LE(probe_took, milliseconds(2000));
}

TEST_F(SqliteMetadataTest, inserts_when_the_lock_is_given_back_in_time) {
  ASSERT_TRUE(try_open(file_, std::chrono::seconds(20)));
  const auto other = stranger();
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE"));
  std::thread releases([&] {
    std::this_thread::sleep_for(milliseconds(150));
    EXPECT_TRUE(other->execute("ROLLBACK"));
  });
  const auto done = insert({next_row()});
  releases.join();
  EXPECT_TRUE(done) << done.error().detail;
}

TEST_F(SqliteMetadataTest, stops_a_list_that_runs_past_its_deadline) {
  open(file_);
  // 300,000 rows that the filter rejects one by one, made by SQLite itself.
  ASSERT_TRUE(insert({next_row()}));
  execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
      "INSERT INTO records SELECT printf('0190a5f0-0000-7000-8000-%012x', i), tenant, source, "
      "event_id, type, subject, event_time, received_at, content_type, size, stored_size, sha256, "
      "stored_sha256, data_offset, frames, object_key, object_location, object_version, partition, "
      "position, leaf_index, state, attempts, durability, idempotency_key, attributes, indexed_at, "
      "context, started_at, archived_at FROM records, n");
  const auto nothing = query([](auto& q) { q.tenant = "default", q.state = "nowhere"; });
  expect_error(run_task(store_->list(nothing, within(milliseconds(1)))), Code::timeout,
               Retry::safe);
  const auto found = run_task(store_->list(nothing, soon()));
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_TRUE(found->empty());
}

TEST_F(SqliteMetadataTest, inserts_all_rows_of_a_batch_or_none) {
  open(file_);
  execute(
      "CREATE TRIGGER poison BEFORE INSERT ON records WHEN NEW.subject = 'poison' "
      "BEGIN SELECT RAISE(ABORT, 'refused by a test'); END");
  auto poison = next_row();
  poison.envelope.subject = "poison";
  expect_error(insert({next_row(), poison, next_row()}), Code::internal, Retry::never);
  EXPECT_EQ(count(), 0);
  EXPECT_TRUE(insert({next_row(), next_row()}));
  EXPECT_EQ(count(), 2);
}

TEST_F(SqliteMetadataTest, says_that_the_outcome_is_unknown_when_the_commit_cannot_be_fsynced) {
  open(file_);
  ASSERT_TRUE(insert({next_row()}));
  const auto row = next_row();
  {
    const tests::SyncHook hook(
        [](const std::string& path) { return path.ends_with("-wal") ? EIO : 0; });
    expect_error(insert({row}), Code::unavailable, Retry::unknown_outcome);
  }
  EXPECT_TRUE(insert({row}));
  EXPECT_EQ(count(), 2);
  EXPECT_EQ(stranger()->text("PRAGMA integrity_check").value(), "ok");
}

TEST_F(SqliteMetadataTest, says_that_the_disk_is_full_and_works_again_when_it_is_not) {
  const tests::SmallDisk disk("1m");
  if (!disk.mounted()) GTEST_SKIP() << "no permission to mount a small tmpfs";
  open(disk.path() / "metadata.sqlite");
  const fs::path ballast = disk.path() / "ballast";
  {
    std::ofstream out(ballast);
    const std::string block(4096, 'x');
    while (out << block << std::flush) {
    }
  }
  std::vector<core::MetadataRow> rows;
  for (int i = 0; i < 200; ++i) rows.push_back(next_row());
  expect_error(insert(rows), Code::out_of_space, Retry::safe);
  fs::remove(ballast);
  const auto done = insert(rows);
  EXPECT_TRUE(done) << done.error().detail;
  EXPECT_EQ(count(), 200);
  store_.reset();
}

TEST_F(SqliteMetadataTest, refuses_a_file_that_can_only_be_read) {
  open(file_);
  store_.reset();
  fs::permissions(folder_.path(), fs::perms(0755));
  fs::permissions(file_, fs::perms(0444));
  const tests::ActAsNobody nobody;
  const auto opened = try_open(file_);
  expect_error(opened, Code::unavailable, Retry::safe);
  EXPECT_NE(opened.error().detail.find("write access"), std::string::npos) << opened.error().detail;
}

TEST_F(SqliteMetadataTest, refuses_a_file_it_does_not_understand) {
  struct Case {
    const char* sql;
    const char* words;
  };
  const std::vector<Case> cases = {{"PRAGMA user_version = 3", "newer Daybook"},
                                   {"CREATE TABLE notes (t TEXT)", "other program"}};
  for (const Case& wrong : cases) {
    fs::remove(file_);
    execute(wrong.sql);
    const auto opened = try_open(file_);
    expect_error(opened, Code::misconfigured, Retry::never);
    EXPECT_NE(opened.error().detail.find(wrong.words), std::string::npos) << opened.error().detail;
  }
  expect_error(try_open(":memory:/x"), Code::unavailable, Retry::safe);
  expect_error(try_open(folder_.path() / "no/such/folder/x.sqlite"), Code::unavailable,
               Retry::safe);
}

TEST_F(SqliteMetadataTest, says_damaged_for_a_file_of_other_bytes) {
  std::ofstream(file_) << std::string(8192, 'x');
  expect_error(try_open(file_), Code::damaged, Retry::never);
}

TEST_F(SqliteMetadataTest, says_damaged_for_pages_that_were_overwritten) {
  open(file_);
  std::vector<core::MetadataRow> rows;
  for (int i = 0; i < 1000; ++i) rows.push_back(next_row());
  ASSERT_TRUE(insert(rows));
  store_.reset();
  const auto size = fs::file_size(file_);
  std::fstream out(file_, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(100'000);
  out << std::string(size - 100'000, 'x');
  out.close();
  open(file_);
  expect_error(run_task(store_->list(tests::query_of_limit(1000), soon())), Code::damaged,
               Retry::never);
}

TEST_F(SqliteMetadataTest, says_damaged_for_values_nobody_could_have_written) {
  open(file_);
  for (const char* change :
       {"received_at = 'yesterday'", "sha256 = 'abc'", "stored_sha256 = ''", "frames = '[1,-2]'",
        "frames = '{}'", "frames = '[4294967296]'", "attributes = '[]'", "attributes = '{\"a\":1}'",
        "attributes = 'x'", "event_time = 'x'", "indexed_at = ''", "context = '[]'",
        "started_at = 'x'", "archived_at = 'x'"}) {
    const auto row = next_row();
    ASSERT_TRUE(insert({row}));
    execute(("UPDATE records SET " + std::string(change) + " WHERE id = '" + row.envelope.id.str() +
             "'")
                .c_str());
    SCOPED_TRACE(change);
    expect_error(run_task(store_->find(row.envelope.id, soon())), Code::damaged, Retry::never);
  }
}

TEST_F(SqliteMetadataTest, brings_back_attributes_that_are_no_utf8) {
  open(file_);
  auto row = next_row();
  row.envelope.attributes = {{"latin", "gr\xFC\xDF"}};
  ASSERT_TRUE(insert({row}));
  EXPECT_EQ(run_task(store_->find(row.envelope.id, soon())).value(), row);
}

TEST_F(SqliteMetadataTest, notices_that_its_file_was_deleted) {
  open(file_);
  ASSERT_TRUE(insert({next_row()}));
  fs::remove(file_);
  expect_error(run_task(store_->probe(soon())), Code::unavailable, Retry::safe);
  expect_error(insert({next_row()}), Code::unavailable, Retry::safe);
}

TEST_F(SqliteMetadataTest, answers_every_list_from_an_index_in_order) {
  open(file_);
  const auto other = stranger();
  const auto time = tests::wall_time(1'795'233'906'000'000);
  for (unsigned mask = 0; mask < 256; ++mask) {
    const auto asked = query([&](auto& q) {
      if (mask & 1) q.tenant = "a";
      if (mask & 2) q.source = "a";
      if (mask & 4) q.type = "a";
      if (mask & 8) q.subject = "a";
      if (mask & 16) q.state = "a";
      if (mask & 32) q.since = time;
      if (mask & 64) q.until = time;
      if (mask & 128) q.before = core::RecordId();
    });
    const ListStatement list = list_statement(asked, 5);
    const auto handle = other->prepare("EXPLAIN QUERY PLAN " + list.sql);
    ASSERT_TRUE(handle) << handle.error().detail;
    SqliteStatement plan(*other, *handle);
    std::string steps;
    while (plan.step().value()) steps += std::string(plan.text(3)) + "; ";
    EXPECT_EQ(steps.find("TEMP B-TREE"), std::string::npos) << list.sql << ": " << steps;
    EXPECT_NE(steps.find("USING INDEX"), std::string::npos) << list.sql << ": " << steps;
    const char* const best = (mask & 8)    ? "records_by_subject"
                             : (mask & 2)  ? "records_by_source"
                             : (mask & 4)  ? "records_by_type"
                             : (mask & 1)  ? "records_by_tenant"
                             : (mask & 16) ? "records_by_state"
                                           : "sqlite_autoindex_records_1";
    EXPECT_NE(steps.find(best), std::string::npos) << list.sql << ": " << steps;
  }
}

TEST_F(SqliteMetadataTest, keeps_what_it_confirmed_through_kill_9) {
  for (int round = 0; round < 5; ++round) {
    store_.reset();
    fs::remove(file_);
    fs::remove(file_.string() + "-wal");
    fs::remove(file_.string() + "-shm");
    std::array<int, 2> pipe_ends{};
    ASSERT_EQ(::pipe2(pipe_ends.data(), O_CLOEXEC), 0);
    std::fflush(nullptr);  // or the child prints it again
    const pid_t child = ::fork();
    if (child == 0) {
      if (!try_open(file_)) ::_exit(1);
      for (;;) {
        if (!insert({next_row(), next_row(), next_row()})) ::_exit(1);
        if (::write(pipe_ends[1], "+++", 3) != 3) ::_exit(1);
      }
    }
    ::close(pipe_ends[1]);
    char byte = 0;
    std::size_t confirmed = 0;
    while (confirmed < 3 && ::read(pipe_ends[0], &byte, 1) == 1) ++confirmed;
    std::this_thread::sleep_for(milliseconds(10 + 13 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
    while (::read(pipe_ends[0], &byte, 1) == 1) ++confirmed;
    ::close(pipe_ends[0]);

    open(file_);
    const auto rows = stranger()->integer("SELECT count(*) FROM records").value();
    EXPECT_GE(rows, static_cast<std::int64_t>(confirmed));
    EXPECT_LE(rows, static_cast<std::int64_t>(confirmed) + 3);
    EXPECT_EQ(rows % 3, 0) << "a part of a batch";
    EXPECT_EQ(stranger()->integer("SELECT count(*) FROM feed JOIN records USING (id)").value(),
              rows);
    EXPECT_EQ(stranger()->integer("SELECT max(sequence) FROM feed").value(), rows);
    EXPECT_EQ(stranger()->integer("SELECT last FROM feed_head").value(), rows);
    EXPECT_EQ(stranger()->text("PRAGMA integrity_check").value(), "ok");
  }
}

TEST(ConcurrencySqliteMetadata, serves_threads_that_forgot_the_workers) {
  const tests::TemporaryFolder folder;
  tests::InlineWorkers workers;  // runs everything in the caller's thread: the mutexes must hold
  const auto store =
      SqliteMetadata::open({.file = folder.path() / "m.sqlite"}, workers, workers).value();
  core::RecordIdGenerator ids;
  constexpr int kThreads = 4;
  constexpr int kRounds = 30;
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      const auto time = tests::wall_time(1'795'233'906'000'000);
      for (int i = 0; i < kRounds; ++i) {
        const auto row = bare_row(ids.next(time, 0), time);
        if (!run_task(store->insert({row}, soon()))) ++failed;
        const auto found = run_task(store->find(row.envelope.id, soon()));
        if (!found || *found != row) ++failed;
        if (!run_task(store->list(tests::query_of_limit(10), soon()))) ++failed;
        if (!run_task(store->probe(soon()))) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(run_task(store->list(tests::query_of_limit(1000), soon())).value().size(),
            std::size_t{kThreads} * kRounds);
}

}  // namespace
}  // namespace daybook::storage
