// What the file store promises beyond the contract: what is on disk when, and what a fault leaves
// behind.
#include "storage/file_store.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/contract/sync_faults.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::storage {
namespace {

namespace fs = std::filesystem;
using core::Code;
using tests::long_ago;
using tests::random_bytes;
using tests::run_task;
using tests::soon;

class FileStoreTest : public testing::Test {
 protected:
  void open(const fs::path& archive) {
    archive_ = archive;
    auto opened = FileStore::open({.folder = archive}, workers_);
    ASSERT_TRUE(opened) << opened.error().detail;
    store_ = std::move(*opened);
  }
  void SetUp() override { open(folder_.path() / "archive"); }

  static core::PutObject object(const std::string& key, core::Bytes bytes) {
    return {.key = key,
            .body = {bytes},
            .sha256 = core::sha256(bytes),
            .content_type = "text/plain",
            .metadata = {}};
  }
  core::Result<core::ObjectVersion> put(const std::string& key, core::Bytes bytes) {
    return run_task(store_->put(object(key, bytes), soon()));
  }
  core::Result<core::ByteVector> get(const std::string& key) {
    return run_task(store_->get(key, std::nullopt, soon()));
  }
  [[nodiscard]] fs::path temporary() const { return archive_ / ".tmp"; }
  [[nodiscard]] std::size_t temporary_files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(temporary()), fs::directory_iterator()));
  }
  // Everything below the archive folder that is a file.
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(archive_)) {
      if (entry.is_regular_file()) found.push_back(entry.path().lexically_relative(archive_));
    }
    std::ranges::sort(found);
    return found;
  }
  template <class T>
  static void expect_error(const core::Result<T>& result, Code code, core::Retry retry) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().detail;
    EXPECT_EQ(result.error().retry, retry) << result.error().detail;
    EXPECT_EQ(result.error().origin, core::Origin::object_store);
  }

  tests::TemporaryFolder folder_;
  tests::InlineWorkers workers_;
  fs::path archive_;
  std::unique_ptr<FileStore> store_;
};

TEST_F(FileStoreTest, stores_the_bytes_under_the_key_and_says_where) {
  const core::ByteVector bytes = random_bytes(1000, 1);
  const auto stored = put("bank/2026/11/21/04/id.json.zst", bytes);
  ASSERT_TRUE(stored) << stored.error().detail;
  const fs::path file = archive_ / "bank/2026/11/21/04/id.json.zst";
  EXPECT_EQ(stored->location, "file:" + file.string());
  EXPECT_EQ(stored->version, "");
  EXPECT_EQ(store_->describe(), "file:" + archive_.string());
  EXPECT_EQ(fs::file_size(file), bytes.size());
  EXPECT_EQ(files(), std::vector<std::string>{"bank/2026/11/21/04/id.json.zst"});
}

TEST_F(FileStoreTest, never_replaces_an_object) {
  const core::ByteVector bytes = random_bytes(100'000, 1);
  ASSERT_TRUE(put("a/b", bytes));
  const auto again = put("a/b", bytes);
  EXPECT_TRUE(again) << "what is there already is there";
  const auto other = put("a/b", random_bytes(100'000, 2));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, core::Code::conflict);
  EXPECT_EQ(other.error().retry, core::Retry::never);
  EXPECT_EQ(*run_task(store_->get("a/b", std::nullopt, soon())), bytes);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "archive/.tmp"))
      << "nothing of the refused one is left";
}

TEST_F(FileStoreTest, says_absolute_places_for_a_relative_folder) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  auto opened = FileStore::open({.folder = "relative/../other/"}, workers_);
  fs::current_path(before);
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_EQ((*opened)->describe(), "file:" + (folder_.path() / "other").string());
  EXPECT_TRUE(run_task((*opened)->put(object("a", core::as_bytes("x")), soon())));
  EXPECT_TRUE(fs::exists(folder_.path() / "other/a"));
}

TEST_F(FileStoreTest, fsyncs_the_file_before_the_rename_and_every_new_folder_from_the_top) {
  std::vector<std::string> synced;
  bool visible_too_early = false;
  const fs::path target = archive_ / "a/b/c.zst";
  {
    const tests::SyncHook hook([&](const std::string& path) {
      synced.push_back(fs::path(path).lexically_relative(archive_).string());
      if (synced.size() <= 3 && fs::exists(target)) visible_too_early = true;
      return 0;
    });
    ASSERT_TRUE(put("a/b/c.zst", random_bytes(10, 1)));
    ASSERT_EQ(synced.size(), 4);
    EXPECT_TRUE(synced[0].starts_with(".tmp/put-")) << synced[0];
    EXPECT_EQ(synced[1], ".");
    EXPECT_EQ(synced[2], "a");
    EXPECT_EQ(synced[3], "a/b");
    EXPECT_FALSE(visible_too_early);

    synced.clear();  // the folders are known to be on disk now
    ASSERT_TRUE(put("a/b/d.zst", random_bytes(10, 2)));
    ASSERT_EQ(synced.size(), 2);
    EXPECT_TRUE(synced[0].starts_with(".tmp/put-")) << synced[0];
    EXPECT_EQ(synced[1], "a/b");
  }
}

TEST_F(FileStoreTest, does_not_trust_a_folder_that_somebody_else_made) {
  fs::create_directories(archive_ / "a/b");  // its entry may not be on disk yet
  std::vector<std::string> synced;
  const tests::SyncHook hook([&](const std::string& path) {
    synced.push_back(fs::path(path).lexically_relative(archive_).string());
    return 0;
  });
  ASSERT_TRUE(put("a/b/c.zst", random_bytes(10, 1)));
  EXPECT_EQ(std::ranges::count(synced, "."), 1);
  EXPECT_EQ(std::ranges::count(synced, "a"), 1);
}

TEST_F(FileStoreTest, makes_a_folder_again_that_was_removed) {
  ASSERT_TRUE(put("a/b/one", random_bytes(10, 1)));
  fs::remove_all(archive_ / "a");
  const auto stored = put("a/b/two", random_bytes(10, 2));
  EXPECT_TRUE(stored) << stored.error().detail;
}

TEST_F(FileStoreTest, leaves_nothing_behind_when_fsync_fails) {
  const core::ByteVector bytes = random_bytes(100'000, 1);
  {
    const tests::SyncHook hook(
        [&](const std::string& path) { return path.starts_with(temporary().string()) ? EIO : 0; });
    expect_error(put("a/b", bytes), Code::unavailable, core::Retry::safe);
  }
  EXPECT_TRUE(files().empty());
  ASSERT_TRUE(put("a/b", bytes)) << "a later attempt writes a new file";
  EXPECT_TRUE(*get("a/b") == bytes);
}

TEST_F(FileStoreTest, admits_that_the_outcome_is_unknown_when_the_last_folder_fsync_fails) {
  const core::ByteVector bytes = random_bytes(1000, 1);
  {
    const tests::SyncHook hook(
        [&](const std::string& path) { return path == (archive_ / "a").string() ? EIO : 0; });
    expect_error(put("a/b", bytes), Code::unavailable, core::Retry::unknown_outcome);
  }
  EXPECT_EQ(temporary_files(), 0);
  ASSERT_TRUE(put("a/b", bytes));
}

TEST_F(FileStoreTest, stores_nothing_when_a_parent_folder_cannot_be_made_durable) {
  {
    const tests::SyncHook hook(
        [&](const std::string& path) { return path == archive_.string() ? EIO : 0; });
    expect_error(put("a/b", random_bytes(10, 1)), Code::unavailable, core::Retry::safe);
    EXPECT_TRUE(files().empty());
  }
  std::size_t root_syncs = 0;
  const tests::SyncHook hook([&](const std::string& path) {
    root_syncs += path == archive_.string() ? 1 : 0;
    return 0;
  });
  ASSERT_TRUE(put("a/b", random_bytes(10, 1)));
  EXPECT_EQ(root_syncs, 1) << "the folder existed, but was never made durable";
}

TEST_F(FileStoreTest, removes_its_temporary_file_when_the_digest_is_another_or_time_is_up) {
  const core::ByteVector bytes = random_bytes(1000, 1);
  core::PutObject wrong = object("a", bytes);
  wrong.sha256 = {};
  expect_error(run_task(store_->put(wrong, soon())), Code::damaged, core::Retry::never);
  expect_error(run_task(store_->put(object("a", bytes), long_ago())), Code::timeout,
               core::Retry::unknown_outcome);
  EXPECT_TRUE(files().empty());
}

TEST_F(FileStoreTest, notices_a_deadline_that_passes_during_the_write) {
  // Hashing and writing 256 MiB takes longer than 5 ms anywhere.
  const core::ByteVector block = random_bytes(core::MiB, 1);
  core::PutObject large = object("large", block);
  large.body.assign(256, core::Bytes(block));
  expect_error(run_task(store_->put(large, tests::within(std::chrono::milliseconds(5)))),
               Code::timeout, core::Retry::unknown_outcome);
  EXPECT_TRUE(files().empty());
}

TEST_F(FileStoreTest, removes_at_start_what_a_dead_process_left_and_nothing_else) {
  for (const char* name : {"put-dead-1", "put-alive-2", "somebody-elses"}) {
    std::ofstream(temporary() / name) << "half an object";
  }
  const int alive = ::open((temporary() / "put-alive-2").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(alive, LOCK_EX), 0);
  open(archive_);
  EXPECT_EQ(files(), (std::vector<std::string>{".tmp/put-alive-2", ".tmp/somebody-elses"}));
  ::close(alive);
  open(archive_);
  EXPECT_EQ(files(), std::vector<std::string>{".tmp/somebody-elses"});
}

TEST_F(FileStoreTest, leaves_the_temporary_file_of_a_living_process_alone) {
  const core::ByteVector bytes = random_bytes(1000, 1);
  const tests::SyncHook hook([&](const std::string& path) {
    if (path.starts_with(temporary().string())) {
      EXPECT_TRUE(FileStore::open({.folder = archive_}, workers_));  // as a second daybook would
    }
    return 0;
  });
  // The hook runs inside the put's fsync; opening syncs no temporary file, so it is not entered
  // twice.
  const auto stored = put("a", bytes);
  EXPECT_TRUE(stored) << stored.error().detail;
}

TEST_F(FileStoreTest, says_that_the_disk_is_full_and_works_again_when_it_is_not) {
  const tests::SmallDisk disk("2m");
  if (!disk.mounted()) GTEST_SKIP() << "no permission to mount a small tmpfs";
  open(disk.path() / "archive");
  ASSERT_TRUE(put("first", random_bytes(core::MiB, 1)));
  expect_error(put("second", random_bytes(3 * core::MiB, 2)), Code::out_of_space,
               core::Retry::safe);
  EXPECT_EQ(files(), std::vector<std::string>{"first"});
  fs::remove(archive_ / "first");
  EXPECT_TRUE(put("second", random_bytes(core::MiB, 2)));
  store_.reset();
}

TEST_F(FileStoreTest, says_who_may_not_write) {
  fs::permissions(folder_.path(), fs::perms::all);
  fs::permissions(temporary(), fs::perms(0555));
  if (::geteuid() == 0) {
    const tests::ActAsNobody nobody;
    expect_error(put("a", core::as_bytes("x")), Code::denied, core::Retry::safe);
    expect_error(run_task(store_->probe(soon())), Code::denied, core::Retry::safe);
  } else {
    expect_error(put("a", core::as_bytes("x")), Code::denied, core::Retry::safe);
  }
  fs::permissions(temporary(), fs::perms(0755));
  EXPECT_TRUE(put("a", core::as_bytes("x")));
}

TEST_F(FileStoreTest, does_not_make_its_folder_anew_when_that_is_gone) {
  fs::remove_all(archive_);  // an unmounted disk looks like this
  expect_error(put("a", core::as_bytes("x")), Code::unavailable, core::Retry::safe);
  expect_error(run_task(store_->probe(soon())), Code::unavailable, core::Retry::safe);
  EXPECT_FALSE(fs::exists(archive_));
}

TEST_F(FileStoreTest, refuses_to_open_where_a_file_is_in_the_way) {
  std::ofstream(folder_.path() / "file") << "x";
  const auto opened = FileStore::open({.folder = folder_.path() / "file"}, workers_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::conflict);
  EXPECT_FALSE(FileStore::open({.folder = ""}, workers_));
}

TEST_F(FileStoreTest, tells_objects_and_folders_apart) {
  ASSERT_TRUE(put("a/b", core::as_bytes("x")));
  for (const std::string key : {"a", "a/b/c"}) {
    const auto loaded = get(key);
    ASSERT_FALSE(loaded) << key;
    EXPECT_EQ(loaded.error().code, Code::not_found) << key;
    expect_error(put(key, core::as_bytes("y")), Code::conflict, core::Retry::never);
  }
  EXPECT_EQ(core::as_text(*get("a/b")), "x");
  EXPECT_EQ(temporary_files(), 0);
}

TEST_F(FileStoreTest, leaves_nothing_of_a_probe) {
  const auto works = run_task(store_->probe(soon()));
  EXPECT_TRUE(works) << works.error().detail;
  EXPECT_TRUE(files().empty());
}

TEST(FileStoreKey, follows_the_rules) {
  for (const std::string_view good : {"a", "a/b", "...", "a/..b/c.", ".tmpx/a", "a/.tmp", "a b"}) {
    EXPECT_TRUE(check_file_store_key(good)) << good;
  }
  const std::string nul("a\0b", 3);
  const std::string long_part(256, 'x');
  std::string long_key;
  for (int i = 0; i < 300; ++i) long_key += "abc/";
  long_key += "d";
  for (const std::string_view bad : std::initializer_list<std::string_view>{
           "", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", ".tmp", ".tmp/put-1", nul,
           long_part, long_key}) {
    const auto checked = check_file_store_key(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().code, Code::invalid_argument);
    EXPECT_EQ(checked.error().retry, core::Retry::never);
  }
}

// A child process dies inside its put; the parent looks at what is left.
class FileStoreDeathTest : public FileStoreTest {
 protected:
  // Returns false where the child ended by itself, with nothing left to die in.
  bool child_dies_at_sync(int nth, const std::string& key, core::Bytes bytes) {
    std::fflush(nullptr);  // or the child prints it again
    const pid_t child = ::fork();
    if (child == 0) {
      int seen = 0;
      const tests::SyncHook hook([&](const std::string&) {
        if (seen++ == nth) ::_exit(42);
        return 0;
      });
      const auto stored = put(key, bytes);
      ::_exit(stored ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && (WEXITSTATUS(status) == 42 || WEXITSTATUS(status) == 0));
    return WIFEXITED(status) && WEXITSTATUS(status) == 42;
  }
};

TEST_F(FileStoreDeathTest, shows_no_partial_object_wherever_a_put_dies) {
  const core::ByteVector bytes = random_bytes(2 * core::MiB + 3, 1);
  int deaths = 0;
  for (bool died = true; died; ++deaths) {
    const std::string key = "round-" + std::to_string(deaths) + "/x/y";
    died = child_dies_at_sync(deaths, key, bytes);
    const auto loaded = get(key);
    if (loaded) {
      EXPECT_TRUE(*loaded == bytes) << "partial object after death at fsync " << deaths;
    } else {
      EXPECT_EQ(loaded.error().code, Code::not_found);
      EXPECT_TRUE(died) << "a put that succeeded left no object";
    }
    open(archive_);
    EXPECT_EQ(temporary_files(), 0) << "the next start does not clean up";
    EXPECT_TRUE(put(key, bytes)) << "and the put can be repeated";
  }
  EXPECT_EQ(deaths, 5) << "file, two parents, the folder itself, and one run without a death";
}

TEST_F(FileStoreDeathTest, keeps_what_it_confirmed_through_kill_9_at_random_moments) {
  constexpr std::size_t kSize = 3 * core::MiB + 11;
  for (std::uint64_t round = 0; round < 10; ++round) {
    std::array<int, 2> pipe_ends{};
    ASSERT_EQ(::pipe2(pipe_ends.data(), O_CLOEXEC), 0);
    std::fflush(nullptr);  // or the child prints it again
    const pid_t child = ::fork();
    if (child == 0) {
      for (std::uint64_t i = 0;; ++i) {
        const core::ByteVector bytes = random_bytes(kSize, round * 1000 + i);
        const std::string key = "kill/" + std::to_string(round) + "/" + std::to_string(i);
        if (!put(key, bytes)) ::_exit(1);
        if (::write(pipe_ends[1], "+", 1) != 1) ::_exit(1);
      }
    }
    ::close(pipe_ends[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + 7 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
    std::uint64_t confirmed = 0;
    for (char byte = 0; ::read(pipe_ends[0], &byte, 1) == 1;) ++confirmed;
    ::close(pipe_ends[0]);

    open(archive_);
    EXPECT_EQ(temporary_files(), 0);
    std::uint64_t seen = 0;
    for (;; ++seen) {
      const auto loaded = get("kill/" + std::to_string(round) + "/" + std::to_string(seen));
      if (!loaded) break;
      ASSERT_TRUE(*loaded == random_bytes(kSize, round * 1000 + seen)) << "a partial object";
    }
    EXPECT_GE(seen, confirmed);
    EXPECT_LE(seen, confirmed + 1);
  }
}

TEST(ConcurrencyFileStore, serves_many_threads_in_one_new_folder) {
  const tests::TemporaryFolder folder;
  tests::InlineWorkers workers;
  const auto store = FileStore::open({.folder = folder.path()}, workers).value();
  constexpr int kThreads = 4;
  constexpr int kObjects = 25;
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kObjects; ++i) {
        const core::ByteVector bytes = random_bytes(5000, static_cast<std::uint64_t>(i));
        const core::PutObject object{
            .key = "hour/" + std::to_string(i % 3) + "/" + std::to_string(i),
            .body = {core::Bytes(bytes)},
            .sha256 = core::sha256(core::Bytes(bytes)),
            .content_type = {},
            .metadata = {}};
        if (!run_task(store->put(object, soon()))) ++failed;
        const auto loaded = run_task(store->get(object.key, std::nullopt, soon()));
        if (!loaded || *loaded != bytes) ++failed;
        if (t == 0 && !run_task(store->probe(soon()))) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_TRUE(fs::is_empty(folder.path() / ".tmp"));
}

}  // namespace
}  // namespace daybook::storage
