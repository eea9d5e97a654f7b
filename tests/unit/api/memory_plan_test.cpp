// The worst-case sum: named users, and a refusal that says what to lower.
#include "api/memory_plan.hpp"

#include <gtest/gtest.h>

#include "core/units.hpp"

namespace daybook::api {
namespace {

core::Config make_config() {
  core::Config config;
  config.ingest_memory_max = 512 * core::MiB;
  config.ingest_body_bytes_max = 8 * core::MiB;
  config.server_connections_max = 4096;
  config.pipeline_archive_concurrency = 8;
  return config;
}

TEST(MemoryPlan, is_the_sum_of_its_users) {
  const std::vector<MemoryUser> users = {{"a", 10, "x.a"}, {"b", 30, "x.b"}, {"c", 2, ""}};
  EXPECT_EQ(memory_sum(users), 42u);
}

TEST(MemoryPlan, names_every_user_and_the_sum) {
  const auto users = memory_users(make_config(), 2);
  const std::string text = memory_text(users);
  for (const char* name : {"payloads 512 MiB", "kept blocks 128 MiB", "4096 connections",
                           "archive stage", "2 workers"}) {
    EXPECT_NE(text.find(name), std::string::npos) << text;
  }
  EXPECT_TRUE(text.ends_with(
      "= " + std::to_string((memory_sum(users) + core::MiB - 1) / core::MiB) + " MiB"))
      << text;
}

TEST(MemoryPlan, grows_with_each_setting_that_lowers_it) {
  const std::uint64_t before = memory_sum(memory_users(make_config(), 2));
  auto config = make_config();
  config.ingest_memory_max *= 2;
  EXPECT_GE(memory_sum(memory_users(config, 2)), before + 512 * core::MiB);
  config = make_config();
  config.server_connections_max *= 2;
  EXPECT_GT(memory_sum(memory_users(config, 2)), before);
  config = make_config();
  config.pipeline_archive_concurrency *= 2;
  EXPECT_GT(memory_sum(memory_users(config, 2)), before);
  EXPECT_GT(memory_sum(memory_users(make_config(), 64)), before);
}

TEST(MemoryPlan, counts_a_refused_message_where_such_are_kept) {
  auto config = make_config();
  const std::uint64_t none = memory_sum(memory_users(config, 2));
  config.ingest_refused_keep_max = core::MiB;
  EXPECT_GT(memory_sum(memory_users(config, 2)), none + 4 * config.ingest_body_bytes_max);
}

TEST(MemoryPlan, fits_or_says_which_setting_to_lower) {
  const auto users = memory_users(make_config(), 2);
  EXPECT_TRUE(check_memory(users, 0)) << "0 is no bound";
  EXPECT_TRUE(check_memory(users, memory_sum(users)));
  const auto refused = check_memory(users, memory_sum(users) - 1);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("ingest.memory_max"), std::string::npos);
  auto config = make_config();
  config.server_connections_max = 100'000;
  const auto many = check_memory(memory_users(config, 2), core::GiB);
  ASSERT_FALSE(many);
  EXPECT_NE(many.error().detail.find("server.connections_max"), std::string::npos);
}

}  // namespace
}  // namespace daybook::api
