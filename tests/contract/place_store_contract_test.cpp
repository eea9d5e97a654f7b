// The contract of core/ports/place_store.hpp on the fake and on Redis.
#include <functional>
#include <memory>

#include <gtest/gtest.h>

#include "storage/redis_places.hpp"
#include "tests/contract/fakes/memory_places.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/storage/redis_server.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using core::Code;
using core::PlaceHolder;

const PlaceHolder kFirst{"node-1", "run-1"};
const PlaceHolder kFirstAgain{"node-1", "run-2"};
const PlaceHolder kSecond{"node-2", "run-1"};

class PlaceStoreContract : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) {
      store_ = std::make_unique<MemoryPlaces>(runtime_);
      return;
    }
    if (!RedisServer::installed()) GTEST_SKIP() << "redis-server is not installed";
    redis_ = std::make_unique<RedisServer>();
    storage::RedisTarget target;
    target.addresses = {{"", 0, redis_->socket()}};
    store_ = std::make_unique<storage::RedisPlaces>(runtime_, target, "daybook");
  }

  core::PlaceClaim claim(const PlaceHolder& holder, core::Duration lease = 1min,
                         const std::string& report = "{}") {
    auto claimed = run_on_io(runtime_, store_->claim("p", holder, lease, report, soon()));
    EXPECT_TRUE(claimed) << claimed.error().detail;
    return claimed ? *claimed : core::PlaceClaim{};
  }
  core::Result<void> save(std::uint64_t fence, const std::string& place) {
    return run_on_io(runtime_, store_->save("p", fence, place, soon()));
  }
  core::Deadline soon() { return runtime_.steady_now() + 10s; }

  io::IoRuntime runtime_;
  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<core::PlaceStore> store_;
};

TEST_P(PlaceStoreContract, one_holder_at_a_time_and_both_see_what_is_kept) {
  const auto first = claim(kFirst, 1min, R"({"state":"ok"})");
  EXPECT_TRUE(first.granted);
  EXPECT_EQ(first.place, "");
  ASSERT_TRUE(save(first.fence, "here \"é\" {}"));
  const auto second = claim(kSecond, 1min, "other");
  EXPECT_FALSE(second.granted);
  EXPECT_EQ(second.holder, "node-1");
  EXPECT_EQ(second.place, "here \"é\" {}");
  EXPECT_EQ(second.report, R"({"state":"ok"})");
  const auto renewed = claim(kFirst);
  EXPECT_TRUE(renewed.granted);
  EXPECT_EQ(renewed.fence, first.fence);
}

TEST_P(PlaceStoreContract, pollers_are_apart) {
  EXPECT_TRUE(claim(kFirst).granted);
  const auto other = run_on_io(runtime_, store_->claim("q", kSecond, 1min, "", soon()));
  ASSERT_TRUE(other);
  EXPECT_TRUE(other->granted);
}

TEST_P(PlaceStoreContract, a_new_run_of_the_same_node_takes_over_at_once) {
  const auto before = claim(kFirst);
  const auto after = claim(kFirstAgain);
  EXPECT_TRUE(after.granted);
  EXPECT_GT(after.fence, before.fence);
  const auto late = save(before.fence, "late");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::conflict);
  EXPECT_EQ(claim(kFirstAgain).place, "");
}

TEST_P(PlaceStoreContract, a_lease_that_ended_is_anybodys) {
  const auto before = claim(kFirst, 50ms);
  run_on_io(runtime_, runtime_.sleep(200ms));
  const auto after = claim(kSecond);
  EXPECT_TRUE(after.granted);
  EXPECT_GT(after.fence, before.fence);
  EXPECT_FALSE(save(before.fence, "late"));
  EXPECT_TRUE(save(after.fence, "mine"));
}

TEST_P(PlaceStoreContract, one_that_is_given_up_is_free_and_anothers_is_not) {
  claim(kFirst);
  ASSERT_TRUE(run_on_io(runtime_, store_->give_up("p", kSecond, soon())));
  EXPECT_FALSE(claim(kSecond).granted);
  ASSERT_TRUE(run_on_io(runtime_, store_->give_up("p", kFirst, soon())));
  EXPECT_TRUE(claim(kSecond).granted);
}

TEST_P(PlaceStoreContract, a_reset_makes_the_holders_fence_old) {
  const auto before = claim(kFirst);
  ASSERT_TRUE(run_on_io(runtime_, store_->reset("p", "anew", soon())));
  EXPECT_FALSE(save(before.fence, "late"));
  const auto after = claim(kFirst);
  EXPECT_TRUE(after.granted);
  EXPECT_GT(after.fence, before.fence);
  EXPECT_EQ(after.place, "anew");
  EXPECT_TRUE(save(after.fence, "on"));
}

TEST_P(PlaceStoreContract, what_was_saved_outlives_the_server) {
  if (!GetParam()) GTEST_SKIP() << "of a real server";
  const auto held = claim(kFirst);
  ASSERT_TRUE(save(held.fence, "kept"));
  redis_->stop(SIGKILL);
  redis_->start();
  const auto again = claim(kFirst);
  EXPECT_EQ(again.place, "kept");
  EXPECT_EQ(again.fence, held.fence) << "the lease is in the file as well";
}

INSTANTIATE_TEST_SUITE_P(Stores, PlaceStoreContract, testing::Bool(),
                         [](const auto& info) { return info.param ? "Redis" : "Fake"; });

}  // namespace
}  // namespace daybook::tests
