// `daybook size`: what is asked for, what is refused, and how the figures hang together.
#include "api/size_plan.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "api/cli_size.hpp"
#include "api/config_loader.hpp"
#include "api/size_constants.hpp"

namespace daybook::api {
namespace {

SizeOptions good_options() {
  SizeOptions options;
  options.records_per_second = "50";
  options.size = "4MiB";
  options.compression = "10";
  return options;
}

SizePlan plan_of(const SizeOptions& options) {
  const auto load = load_of(options);
  EXPECT_TRUE(load) << load.error().detail;
  return plan_size(*load, load_config({})->config);
}

TEST(Size, units_are_read) {
  SizeOptions options = good_options();
  options.outage = "2h";
  options.retention = "7y";
  options.network = "100Mbit";
  options.store_put = "40ms";
  const auto load = load_of(options);
  ASSERT_TRUE(load) << load.error().detail;
  EXPECT_EQ(load->payload_bytes, 4 * 1024 * 1024);
  EXPECT_EQ(load->outage_seconds, 7200);
  EXPECT_EQ(load->redis_outage_seconds, 7200);
  EXPECT_EQ(load->retention_days, 7 * 365);
  EXPECT_EQ(load->network_bits, 100e6);
  EXPECT_EQ(load->store_put_seconds, 0.04);
  EXPECT_EQ(load->average_per_second, 50);
}

TEST(Size, wrong_flags_are_named_with_what_would_be_right) {
  struct Case {
    std::string SizeOptions::* flag;
    const char* text;
    const char* says;
  };
  for (const Case& wrong : std::initializer_list<Case>{
           {&SizeOptions::records_per_second, "", "--records-per-second: it is missing"},
           {&SizeOptions::records_per_second, "many", "--records-per-second: \"many\" is not"},
           {&SizeOptions::records_per_second, "-1", "--records-per-second"},
           {&SizeOptions::records_per_second, "1e9", "--records-per-second"},
           {&SizeOptions::records_per_second, "0", "--records-per-second"},
           {&SizeOptions::records_per_second, "nan", "--records-per-second"},
           {&SizeOptions::average_per_second, "51", "--average"},
           {&SizeOptions::size, "", "--size: it is missing"},
           {&SizeOptions::size, "1GiB", "--size"},
           {&SizeOptions::size, "0B", "--size"},
           {&SizeOptions::compression, "", "--sample FILE"},
           {&SizeOptions::compression, "9,4", "--compression"},
           {&SizeOptions::outage, "30", "--outage"},
           {&SizeOptions::outage, "31d", "--outage"},
           {&SizeOptions::redis_outage, "-1m", "--redis-outage"},
           {&SizeOptions::retention, "y", "--retention"},
           {&SizeOptions::retention, "99999y", "--retention"},
           {&SizeOptions::idempotency_window, "91d", "--idempotency-window"},
           {&SizeOptions::replicas, "10", "--replicas"},
           {&SizeOptions::replicas, "1.5", "a whole number"},
           {&SizeOptions::nodes, "0", "--nodes"},
           {&SizeOptions::cores, ".", "--cores"},
           {&SizeOptions::network, "10", "--network"},
           {&SizeOptions::network, "xGbit", "--network"},
           {&SizeOptions::redis_memory, "lots", "--redis-memory"},
           {&SizeOptions::archive, "tape", "--archive"}}) {
    SizeOptions options = good_options();
    options.*wrong.flag = wrong.text;
    const auto load = load_of(options);
    ASSERT_FALSE(load) << wrong.says << wrong.text;
    EXPECT_NE(load.error().detail.find(wrong.says), std::string::npos) << load.error().detail;
    EXPECT_TRUE(load.error().detail.ends_with(".")) << load.error().detail;
  }
}

TEST(Size, a_sample_gives_ratio_and_size) {
  const auto path = std::filesystem::path(testing::TempDir()) / "daybook-size-sample";
  std::ofstream(path) << std::string(3'000'000, 'a');
  SizeOptions options = good_options();
  options.size.clear();
  options.samples = {path.string()};
  EXPECT_FALSE(load_of(options)) << "a ratio beside a sample";
  options.compression.clear();
  auto load = load_of(options);
  ASSERT_TRUE(load) << load.error().detail;
  EXPECT_EQ(load->payload_bytes, 3'000'000);
  EXPECT_GT(load->compression, 100);
  options.size = "1MB";
  load = load_of(options);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->payload_bytes, 1'000'000);
  std::ofstream(path, std::ios::trunc).flush();
  EXPECT_FALSE(load_of(options)) << "an empty sample";
  std::filesystem::remove(path);
  EXPECT_FALSE(load_of(options)) << "no sample";
}

TEST(Size, the_backlog_is_what_arrives_until_it_is_tried_again) {
  SizeOptions options = good_options();
  options.outage = "30m";
  const SizePlan plan = plan_of(options);
  EXPECT_EQ(plan.backlog_records, 50 * (1800 + 60));
  EXPECT_NEAR(plan.stored_bytes, 4.194304e6 / 10, 1000);
  EXPECT_GT(plan.redis_bytes, plan.stored_bytes);
  EXPECT_EQ(plan.keys, 50 * 7 * 86400.0);
  EXPECT_GT(plan.redis_maxmemory, plan.redis_used);
  EXPECT_GT(plan.redis_host_memory, plan.redis_maxmemory);
  EXPECT_GT(plan.redis_disk, 3 * plan.redis_used);
  EXPECT_EQ(plan.puts_per_day, 50 * 86400);
}

TEST(Size, what_is_not_asked_for_costs_nothing) {
  SizeOptions options = good_options();
  options.without_keys = true;
  options.outage = "0s";
  options.archive = "file";
  const SizePlan plan = plan_of(options);
  EXPECT_EQ(plan.keys_bytes, 0);
  EXPECT_EQ(plan.backlog_records, 0);
  EXPECT_EQ(plan.spool_bytes, 0);
  EXPECT_EQ(plan.puts_per_day, 0);
  EXPECT_LT(plan.redis_used, size_constants::kRedisBaseBytes + 100 * plan.redis_bytes);
}

TEST(Size, nodes_share_the_load_and_replicas_do_not) {
  SizeOptions options = good_options();
  const SizePlan one = plan_of(options);
  options.nodes = "4";
  options.replicas = "2";
  const SizePlan four = plan_of(options);
  EXPECT_DOUBLE_EQ(four.cores * 4, one.cores);
  EXPECT_DOUBLE_EQ(four.spool_bytes * 4, one.spool_bytes);
  EXPECT_GT(four.redis_used, one.redis_used) << "the replication backlog";
  EXPECT_EQ(four.puts_per_day, one.puts_per_day);
  EXPECT_EQ(four.daybook_settings[3].value, "replicated:2");
}

TEST(Size, the_fullest_limit_comes_first_and_asks_for_nodes) {
  SizeOptions options = good_options();
  options.records_per_second = "3000";
  options.size = "1kB";
  const SizePlan small = plan_of(options);
  EXPECT_GT(small.limits.front().share(), 1);
  EXPECT_GT(small.nodes_needed, 1u);
  options.nodes = std::to_string(small.nodes_needed);
  for (const SizeLimit& limit : plan_of(options).limits) {
    if (limit.name.find("Redis") == std::string::npos) {
      EXPECT_LE(limit.share(), size_constants::kFullShare + 1e-9) << limit.name;
    }
  }
}

TEST(Size, every_setting_is_one_that_the_server_takes) {
  for (const char* rate : {"0.01", "50", "900"}) {
    for (const char* payload : {"1B", "4MiB", "64MiB"}) {
      SizeOptions options = good_options();
      options.records_per_second = rate;
      options.size = payload;
      const SizePlan plan = plan_of(options);
      ConfigSources sources;
      for (const SizeSetting& setting : plan.daybook_settings) {
        sources.overrides.push_back(setting.name + "=" + setting.value);
      }
      const auto loaded = load_config(sources);
      ASSERT_TRUE(loaded) << loaded.error().detail;
      EXPECT_TRUE(check_memory(memory_users(loaded->config, worker_threads(loaded->config)),
                               loaded->config.node_memory_max));
    }
  }
}

TEST(Size, segments_save_requests_where_records_are_small_and_come_often) {
  SizeOptions options = good_options();
  options.records_per_second = "1000";
  options.average_per_second = "100";
  options.size = "4kB";
  const SizePlan objects = plan_of(options);
  options.layout = "segment";
  const SizePlan segments = plan_of(options);
  EXPECT_EQ(objects.puts_per_day, 100 * 86400);
  EXPECT_DOUBLE_EQ(segments.records_per_object, 4096);  // of 5000 that come in 5 s
  EXPECT_DOUBLE_EQ(segments.puts_per_day, 86400 / 5.0);
  EXPECT_EQ(segments.records_per_day, objects.records_per_day);
  EXPECT_GT(segments.redis_used, objects.redis_used);
  EXPECT_EQ(segments.memory.back().name, "segments");
  options.size = "64MiB";
  options.compression = "1";
  EXPECT_EQ(plan_of(options).records_per_object, 1) << "no segment of one record";
  options.layout = "both";
  EXPECT_FALSE(load_of(options));
}

}  // namespace
}  // namespace daybook::api
