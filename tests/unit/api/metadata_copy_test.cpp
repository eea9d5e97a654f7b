// Copying between two stores: what comes meanwhile, what differs, what fails for a while.
#include "api/metadata_copy.hpp"

#include <gtest/gtest.h>

#include "tests/contract/fakes/memory_metadata_store.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {
namespace {

using core::MetadataRow;
using Rows = std::vector<MetadataRow>;

// Forwards to a store in memory, which may get rows between two scans, or be away for a while.
class HookedStore final : public core::MetadataStore {
 public:
  core::Task<core::Result<void>> insert(Rows rows, core::Deadline deadline) override {
    ++inserts;
    if (failures > 0) {
      --failures;
      co_return core::fail(core::Code::unavailable, core::Origin::metadata, retry, "away");
    }
    co_return co_await memory.insert(std::move(rows), deadline);
  }
  core::Task<core::Result<std::optional<MetadataRow>>> find(core::RecordId id,
                                                            core::Deadline deadline) override {
    return memory.find(id, deadline);
  }
  core::Task<core::Result<Rows>> list(core::MetadataQuery query, core::Deadline deadline) override {
    return memory.list(std::move(query), deadline);
  }
  core::Task<core::Result<Rows>> scan(std::optional<core::RecordId> after, std::uint32_t limit,
                                      core::Deadline deadline) override {
    if (++scans == 2 && !before_second_scan.empty()) {
      (co_await memory.insert(before_second_scan, deadline)).value();
    }
    co_return co_await memory.scan(after, limit, deadline);
  }
  core::Task<core::Result<std::vector<core::FeedEntry>>> feed(std::uint64_t after,
                                                              std::uint32_t limit,
                                                              core::Deadline deadline) override {
    return memory.feed(after, limit, deadline);
  }
  core::Task<core::Result<core::FeedBounds>> feed_bounds(core::Deadline deadline) override {
    return memory.feed_bounds(deadline);
  }
  core::Task<core::Result<std::uint64_t>> feed_before(core::WallTime since,
                                                      core::Deadline deadline) override {
    return memory.feed_before(since, deadline);
  }
  core::Task<core::Result<void>> probe(core::Deadline deadline) override {
    return memory.probe(deadline);
  }
  [[nodiscard]] std::string describe() const override { return "hooked:"; }

  MemoryMetadataStore memory;
  Rows before_second_scan;
  int scans = 0;
  int inserts = 0;
  int failures = 0;
  core::Retry retry = core::Retry::safe;
};

class MetadataCopy : public testing::Test {
 protected:
  MetadataRow row() {
    now_ += std::chrono::seconds(1);
    return full_row(ids_.next(now_, 1), now_);
  }
  void put(core::MetadataStore& store, Rows rows) {
    ASSERT_TRUE(runtime_.run(store.insert(std::move(rows), core::Deadline::max())));
  }
  core::Result<api::CopyReport> copy() {
    return runtime_.run(api::copy_metadata(runtime_, from_, to_, [](int, std::uint64_t) {}));
  }
  Rows all(core::MetadataStore& store) {
    return runtime_.run(store.scan(std::nullopt, 1000, core::Deadline::max())).value();
  }

  VirtualRuntime runtime_;
  HookedStore from_;
  HookedStore to_;
  core::RecordIdGenerator ids_;
  core::WallTime now_ = wall_time(1'795'233'906'123'456);
};

TEST_F(MetadataCopy, copies_nothing_from_an_empty_store) {
  const auto report = copy();
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->rows, 0);
}

TEST_F(MetadataCopy, copies_every_row_over_pages_and_may_be_repeated) {
  for (const std::size_t count : {500U, 1U, 499U}) {
    Rows rows;
    for (std::size_t i = 0; i < count; ++i) rows.push_back(row());
    put(from_, rows);
  }
  for (int i = 0; i < 2; ++i) {
    const auto report = copy();
    ASSERT_TRUE(report) << report.error().detail;
    EXPECT_EQ(report->rows, 1000);
    EXPECT_EQ(report->equal, 1000);
    EXPECT_EQ(report->late + report->different_count + report->only_in_target, 0);
    EXPECT_EQ(all(to_), all(from_));
    // The target's own feed, each record once.
    EXPECT_EQ(runtime_.run(to_.feed_bounds(core::Deadline::max()))->last, 1000);
  }
}

TEST_F(MetadataCopy, takes_what_comes_while_it_runs_wherever_its_id_lies) {
  const MetadataRow early = row();  // indexed late: its id is below those that are there
  put(from_, {row(), row()});
  // The first scan is the copy's only page, the second the comparison's.
  from_.before_second_scan = {early, row()};
  const auto report = copy();
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->rows, 4);
  EXPECT_EQ(report->late, 2);
  EXPECT_EQ(report->equal, 4);
  EXPECT_EQ(all(to_), all(from_));
}

TEST_F(MetadataCopy, names_what_differs_and_leaves_it) {
  const Rows rows = {row(), row(), row(), row()};
  put(from_, rows);
  MetadataRow other = rows[1];
  other.envelope.size += 1;
  MetadataRow separately = rows[2];
  separately.indexed_at += std::chrono::seconds(1);
  const MetadataRow foreign = row();
  put(to_, {other, separately, foreign});
  const auto report = copy();
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->rows, 4);
  EXPECT_EQ(report->equal, 2);
  EXPECT_EQ(report->separately, 1);
  EXPECT_EQ(report->only_in_target, 1);
  ASSERT_EQ(report->different_count, 1);
  EXPECT_EQ(report->different[0].id, other.envelope.id.str());
  EXPECT_EQ(report->different[0].in, "size");
  EXPECT_EQ(all(to_), (Rows{rows[0], other, separately, rows[3], foreign}));
}

TEST_F(MetadataCopy, waits_for_a_store_that_is_away_but_not_for_ever) {
  put(from_, {row()});
  to_.failures = 5;
  EXPECT_TRUE(copy());
  EXPECT_EQ(to_.inserts, 6);
  EXPECT_EQ(runtime_.elapsed(), std::chrono::seconds(5));
  to_.failures = 1000;
  put(from_, {row()});
  EXPECT_FALSE(copy());
  EXPECT_LT(1000 - to_.failures, 40);
}

TEST_F(MetadataCopy, does_not_repeat_what_cannot_work) {
  put(from_, {row()});
  to_.failures = 1;
  to_.retry = core::Retry::never;
  EXPECT_FALSE(copy());
  EXPECT_EQ(to_.inserts, 1);
}

}  // namespace
}  // namespace daybook::tests
