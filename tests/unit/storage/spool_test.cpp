// The spool on real files: what was answered for is found again, what fails is refused and ends its
// segment, what is damaged is set aside.
#include "storage/spool.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/frame.hpp"
#include "core/limits.hpp"
#include "io/worker_pool.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/sync_faults.hpp"
#include "tests/contract/temporary_folder.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

namespace fs = std::filesystem;
using core::Code;
using core::Result;
using core::Task;
using storage::Spool;

std::unique_ptr<core::SealedObject> sealed(std::size_t bytes, std::uint64_t seed) {
  static core::RecordIdGenerator ids;
  const core::ByteVector payload = random_bytes(bytes, seed);
  core::Envelope envelope;
  envelope.id = ids.next(core::WallTime(std::chrono::seconds(1'700'000'000 + seed)), 1);
  envelope.tenant = "default";
  envelope.size = payload.size();
  envelope.sha256 = core::sha256(payload);
  std::vector<core::ByteVector> frames;
  for (std::size_t at = 0; at < bytes; at += core::limits::kBlockBytes) {
    const std::size_t size = std::min<std::size_t>(core::limits::kBlockBytes, bytes - at);
    frames.push_back(core::compress_frame(core::Bytes(payload).subspan(at, size), 1));
    envelope.frames.push_back(static_cast<std::uint32_t>(frames.back().size()));
  }
  return std::make_unique<core::SealedObject>(std::move(envelope), std::move(frames));
}

core::ByteVector joined(const core::SealedObject& object) {
  core::ByteVector bytes;
  for (core::Bytes slice : object.slices()) bytes.insert(bytes.end(), slice.begin(), slice.end());
  return bytes;
}

class SpoolTest : public ::testing::Test {
 protected:
  std::unique_ptr<Spool> open(std::uint64_t bytes_max = core::GiB,
                              std::uint64_t segment_bytes = core::MiB) {
    auto spool = Spool::open(
        runtime_, writer_, {.dir = dir(), .bytes_max = bytes_max, .segment_bytes = segment_bytes});
    EXPECT_TRUE(spool) << spool.error().detail;
    return spool ? std::move(*spool) : nullptr;
  }
  template <class T>
  T run(Task<T> task) {
    return run_on_io(runtime_, std::move(task));
  }
  Result<void> add(Spool& spool, const core::SealedObject& object, std::string key = {}) {
    std::optional<core::IdempotencyKey> name;
    if (!key.empty()) name = {"default", std::move(key)};
    return run(spool.add(object, name, "{\"id\":\"" + object.envelope().id.str() + "\"}"));
  }
  [[nodiscard]] std::string dir() const { return (folder_.path() / "spool").string(); }
  [[nodiscard]] std::vector<fs::path> files(const std::string& below = {}) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(dir() + below)) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
  }

  TemporaryFolder folder_;
  io::IoRuntime runtime_;
  io::WorkerPool writer_{runtime_, 1, "spool-test"};
};

TEST_F(SpoolTest, gives_back_what_it_answered_for_also_to_the_next_process) {
  const std::size_t sizes[] = {1, 4'000, 4'096, 100'000, 3 * core::MiB + 17};
  std::vector<std::unique_ptr<core::SealedObject>> objects;
  {
    const auto spool = open();
    for (const std::size_t size : sizes) {
      objects.push_back(sealed(size, objects.size()));
      ASSERT_TRUE(add(*spool, *objects.back(), "key " + std::to_string(size)));
    }
  }
  const auto spool = open();
  EXPECT_EQ(spool->records(), objects.size());
  EXPECT_EQ(spool->quarantined(), 0);
  for (const auto& object : objects) {
    const auto where = spool->find(object->envelope().id);
    ASSERT_TRUE(where);
    const auto stored = run(spool->read_stored(*where, 0, where->stored_size));
    ASSERT_TRUE(stored) << stored.error().detail;
    EXPECT_TRUE(*stored == joined(*object));
    const auto head = run(spool->read_head(*where));
    ASSERT_TRUE(head);
    EXPECT_EQ(head->stored_sha256, object->stored_sha256());
    EXPECT_EQ(head->receipt, "{\"id\":\"" + object->envelope().id.str() + "\"}");
    const auto by_key =
        spool->find_key({"default", "key " + std::to_string(object->envelope().size)});
    ASSERT_TRUE(by_key);
    EXPECT_EQ(by_key->id, object->envelope().id);
  }
  EXPECT_EQ(spool->oldest()->id, objects.front()->envelope().id) << "in the order of arrival";
}

TEST_F(SpoolTest, deletes_a_segment_when_its_last_record_is_settled) {
  const auto spool = open();
  std::vector<std::unique_ptr<core::SealedObject>> objects;
  for (std::uint64_t i = 0; i < 6; ++i) {
    objects.push_back(sealed(600'000, i));
    ASSERT_TRUE(add(*spool, *objects.back()));
  }
  const std::size_t segments = files().size();
  EXPECT_GT(segments, 2) << "a segment ends at about 1 MiB";
  for (const auto& object : objects) {
    EXPECT_EQ(spool->oldest()->id, object->envelope().id);
    run(spool->settle(object->envelope().id));
  }
  EXPECT_EQ(files().size(), 0);
  EXPECT_EQ(spool->bytes(), 0);
  EXPECT_FALSE(spool->oldest());
  EXPECT_TRUE(add(*spool, *objects.front())) << "it goes on with a new segment";
}

TEST_F(SpoolTest, refuses_a_record_beyond_its_size) {
  const auto spool = open(3 * core::MiB);
  Result<void> added;
  std::size_t taken = 0;
  while (added && taken < 100) {
    added = add(*spool, *sealed(500'000, taken));
    if (added) ++taken;
  }
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Code::out_of_space);
  EXPECT_EQ(spool->records(), taken);
  EXPECT_LE(spool->bytes(), 3 * core::MiB);
}

TEST_F(SpoolTest, never_writes_to_a_file_whose_fsync_failed) {
  const auto spool = open();
  const auto kept = sealed(10'000, 1);
  const auto refused = sealed(10'000, 2);
  const auto later = sealed(10'000, 3);
  ASSERT_TRUE(add(*spool, *kept));
  {
    const SyncHook hook(
        [](const std::string& path) { return path.ends_with(".segment") ? EIO : 0; });
    const auto added = add(*spool, *refused);
    ASSERT_FALSE(added);
    EXPECT_FALSE(spool->health());
  }
  const auto failed = files();
  ASSERT_EQ(failed.size(), 1);
  const auto bytes = fs::file_size(failed.front());
  ASSERT_TRUE(add(*spool, *later));
  EXPECT_TRUE(spool->health());
  EXPECT_EQ(fs::file_size(failed.front()), bytes) << "the failed segment is left alone";
  EXPECT_EQ(files().size(), 2);
  EXPECT_TRUE(spool->find(kept->envelope().id) && spool->find(later->envelope().id));
  EXPECT_FALSE(spool->find(refused->envelope().id));
  const auto again = open();
  EXPECT_EQ(again->records(), 2) << "what was refused is not met again";
}

TEST_F(SpoolTest, leaves_no_file_behind_whose_name_could_not_be_synced) {
  const auto spool = open();
  {
    const SyncHook hook([this](const std::string& path) { return path == dir() ? EIO : 0; });
    ASSERT_FALSE(add(*spool, *sealed(10'000, 1)));
    EXPECT_FALSE(spool->health());
  }
  EXPECT_TRUE(files().empty());
  ASSERT_TRUE(add(*spool, *sealed(10'000, 2)));
  EXPECT_TRUE(spool->health());
  EXPECT_EQ(files().size(), 1);
}

TEST_F(SpoolTest, cuts_a_torn_tail_at_every_length_and_keeps_the_record_before) {
  const auto first = sealed(9'000, 1);
  const auto second = sealed(9'000, 2);
  std::uint64_t whole = 0;
  {
    const auto spool = open();
    ASSERT_TRUE(add(*spool, *first));
    whole = fs::file_size(files().front());
    ASSERT_TRUE(add(*spool, *second));
  }
  const fs::path segment = files().front();
  std::ifstream in(segment, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const std::uint64_t used = whole + 4'096 + second->stored_size();  // padding may be missing
  for (std::uint64_t length = whole; length < used; length += 509) {
    std::ofstream(segment, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(length));
    const auto spool = open();
    EXPECT_EQ(spool->records(), 1) << length;
    EXPECT_TRUE(spool->find(first->envelope().id));
    EXPECT_EQ(fs::file_size(segment), whole) << length;
    EXPECT_EQ(spool->quarantined(), length > whole ? 1 : 0) << length;
  }
}

TEST_F(SpoolTest, finds_the_records_behind_a_damaged_head) {
  std::vector<std::unique_ptr<core::SealedObject>> objects;
  {
    const auto spool = open();
    for (std::uint64_t i = 0; i < 3; ++i) {
      objects.push_back(sealed(9'000, i));
      ASSERT_TRUE(add(*spool, *objects.back()));
    }
  }
  std::fstream file(files().front(), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(
      static_cast<std::streamoff>(4'096 + storage::spool::aligned(objects[0]->stored_size()) + 40));
  file.put('~');
  file.close();
  const auto spool = open();
  EXPECT_TRUE(spool->find(objects[0]->envelope().id));
  EXPECT_FALSE(spool->find(objects[1]->envelope().id));
  EXPECT_TRUE(spool->find(objects[2]->envelope().id));
  EXPECT_EQ(spool->quarantined(), 1);
  EXPECT_EQ(files("/quarantine").size(), 1);
}

TEST(SpoolSegment, reads_any_head_it_wrote_and_no_changed_one) {
  core::RecordIdGenerator ids;
  storage::spool::Head head;
  head.id = ids.next(core::WallTime(std::chrono::seconds(1)), 3);
  head.tenant = "täglich";
  head.key = std::string(6'000, 'k') + "\"\\\n";
  head.size = 18'446'744'073'709'551'615U;
  head.stored_size = 77;
  head.receipt = R"({"id":"x","durability":"spool"})";
  const std::string bytes = storage::spool::encode(head);
  EXPECT_EQ(bytes.size() % storage::spool::kAlignment, 0);
  const auto back = storage::spool::decode(core::as_bytes(bytes));
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(*back, head);
  const std::size_t used = bytes.find_last_not_of('\0') + 1;
  for (std::size_t at = 0; at < used; ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    EXPECT_FALSE(storage::spool::decode(core::as_bytes(changed))) << at;
  }
}

}  // namespace
}  // namespace daybook::tests
