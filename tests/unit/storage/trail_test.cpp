// The trail on real files: an answered line is in a file, a failed file is never written again.
#include "storage/trail.hpp"

#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "io/worker_pool.hpp"
#include "storage/trail_reader.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/contract/temporary_folder.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Counts the jobs, so that a test sees how many commits there were.
class CountingWorkers final : public core::Workers {
 public:
  explicit CountingWorkers(io::IoRuntime& runtime) : pool_(runtime, 1, "trail-test") {}
  core::Task<> run(std::function<void()> job) override {
    ++jobs;
    co_await pool_.run(std::move(job));
  }
  int jobs = 0;

 private:
  io::WorkerPool pool_;
};

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> lines_in(const fs::path& folder) {
  std::vector<std::string> lines;
  for (const fs::path& path : files_in(folder)) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with('#')) lines.push_back(line);
    }
  }
  return lines;
}

class Trail : public ::testing::Test {
 protected:
  void open(const fs::path& folder, core::Duration keep = 24h) {
    auto trail = storage::Trail::open(runtime_, workers_, folder.string(), keep);
    ASSERT_TRUE(trail) << trail.error().detail;
    trail_ = std::move(*trail);
  }
  core::Result<void> add(core::RecordId id, std::string_view payload = "payload") {
    return run_on_io(runtime_,
                     trail_->add(id, core::sha256(core::as_bytes(payload)), payload.size()));
  }
  core::RecordId new_id(std::uint32_t partition = 0) {
    return ids_.next(runtime_.now(), partition);
  }

  TemporaryFolder folder_;
  io::IoRuntime runtime_;
  CountingWorkers workers_{runtime_};
  core::RecordIdGenerator ids_;
  std::unique_ptr<storage::Trail> trail_;
};

TEST_F(Trail, a_line_is_in_the_file_when_add_returns) {
  open(folder_.path() / "new" / "folder");
  const auto id = new_id(3);
  ASSERT_TRUE(add(id));
  const auto lines = lines_in(folder_.path() / "new" / "folder");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0], id.str() + " " + core::sha256(core::as_bytes("payload")).hex() + " 7 3");
  EXPECT_TRUE(trail_->health());
}

TEST_F(Trail, what_became_of_records_is_remarked_soon_and_in_one_commit) {
  open(folder_.path());
  const core::RecordId stored = new_id();
  const core::RecordId failed = new_id();
  ASSERT_TRUE(add(stored));
  ASSERT_TRUE(add(failed));
  const int before = workers_.jobs;
  trail_->remark(stored, true);
  trail_->remark(failed, false);
  run_on_io(runtime_, runtime_.sleep(5 * storage::kRemarkDelay));
  EXPECT_EQ(workers_.jobs, before + 1);
  const auto contents = storage::read_trail(folder_.path().string(), {});
  ASSERT_TRUE(contents) << contents.error().detail;
  EXPECT_EQ(contents->records.at(stored).fate, storage::TrailFate::stored);
  EXPECT_EQ(contents->records.at(failed).fate, storage::TrailFate::failed);
}

TEST_F(Trail, many_lines_share_a_commit) {
  open(folder_.path());
  std::vector<core::Task<core::Result<void>>> tasks;
  std::vector<std::string> expected;
  for (int i = 0; i < 500; ++i) {
    const auto id = new_id();
    expected.push_back(id.str());
    tasks.push_back(trail_->add(id, core::Sha256{}, 1));
  }
  for (const auto& done : run_on_io(runtime_, gather(std::move(tasks)))) EXPECT_TRUE(done);
  EXPECT_LE(workers_.jobs, 3);
  auto lines = lines_in(folder_.path());
  for (std::string& line : lines) line.resize(36);
  EXPECT_EQ(lines, expected);
}

TEST_F(Trail, recover_writes_no_line) {
  open(folder_.path());
  EXPECT_TRUE(run_on_io(runtime_, trail_->recover()));
  EXPECT_TRUE(lines_in(folder_.path()).empty());
}

TEST_F(Trail, each_start_begins_a_file_of_its_own) {
  open(folder_.path());
  ASSERT_TRUE(add(new_id()));
  trail_.reset();
  run_on_io(runtime_, runtime_.sleep(2ms));
  open(folder_.path());
  ASSERT_TRUE(add(new_id()));
  EXPECT_EQ(files_in(folder_.path()).size(), 2u);
  EXPECT_EQ(lines_in(folder_.path()).size(), 2u);
}

TEST_F(Trail, old_files_go_when_a_new_one_is_begun_and_others_stay) {
  const fs::path old = folder_.path() / "2020-01-01T00:00:00Z-1.trail";
  const fs::path young = folder_.path() / "2030-01-01T00:00:00Z-1.trail";
  const fs::path foreign = folder_.path() / "notes.txt";
  for (const fs::path& path : {old, young, foreign}) std::ofstream(path) << "x\n";
  for (const fs::path& path : {old, foreign}) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - 48h);
  }
  open(folder_.path(), 24h);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(young));
  EXPECT_TRUE(fs::exists(foreign));
}

TEST_F(Trail, a_file_that_is_full_is_followed_by_another) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    (defined(__has_feature) &&                                       \
     (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)))
  GTEST_SKIP() << "600,000 lines take too long under a sanitizer";
#endif
  open(folder_.path());
  // 64 MiB of lines of about 110 bytes: in large groups, so that it takes seconds at most.
  std::size_t lines = 0;
  while (files_in(folder_.path()).size() < 2 && lines < 1'000'000) {
    std::vector<core::Task<core::Result<void>>> tasks;
    for (int i = 0; i < 4000; ++i) tasks.push_back(trail_->add(new_id(), core::Sha256{}, 1));
    for (const auto& done : run_on_io(runtime_, gather(std::move(tasks)))) ASSERT_TRUE(done);
    lines += 4000;
  }
  const auto files = files_in(folder_.path());
  ASSERT_EQ(files.size(), 2u);
  EXPECT_GE(std::max(fs::file_size(files[0]), fs::file_size(files[1])), 64 * core::MiB);
  EXPECT_EQ(lines_in(folder_.path()).size(), lines);
}

TEST_F(Trail, a_folder_that_cannot_be_written_is_refused_at_the_start) {
  std::ofstream(folder_.path() / "file") << "x";
  const auto trail =
      storage::Trail::open(runtime_, workers_, (folder_.path() / "file" / "trail").string(), 24h);
  ASSERT_FALSE(trail);
  EXPECT_NE(trail.error().detail.find("node.data_dir"), std::string::npos);
}

TEST_F(Trail, a_full_disk_fails_the_add_and_a_new_file_follows_when_there_is_room) {
  const SmallDisk disk("256k");
  if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a tmpfs";
  open(disk.path());
  ASSERT_TRUE(add(new_id()));
  const fs::path ballast = disk.path() / "ballast";
  std::ofstream(ballast) << std::string(1'000'000, 'b');  // as much as fits
  core::Result<void> done;
  std::size_t good = 1;
  for (int i = 0; i < 1000 && done; ++i) {
    done = add(new_id());
    if (done) ++good;
  }
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, core::Code::out_of_space) << done.error().detail;
  EXPECT_EQ(done.error().origin, core::Origin::self);
  EXPECT_FALSE(trail_->health());

  fs::remove(ballast);
  ASSERT_TRUE(run_on_io(runtime_, trail_->recover()));
  EXPECT_TRUE(trail_->health());
  const auto id = new_id();
  ASSERT_TRUE(add(id));
  std::size_t whole = 0;
  bool last_found = false;
  for (const std::string& line : lines_in(disk.path())) {
    if (std::ranges::count(line, ' ') == 3) ++whole;
    last_found |= line.starts_with(id.str());
  }
  EXPECT_GE(whole, good + 1) << "every line that was answered is there";
  EXPECT_TRUE(last_found);
  EXPECT_GE(files_in(disk.path()).size(), 2u);
}

}  // namespace
}  // namespace daybook::tests
