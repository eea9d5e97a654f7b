// check_redis as a table: one setting wrong at a time, and the words that name it.
#include "storage/redis_checks.hpp"

#include <gtest/gtest.h>

#include "core/units.hpp"

namespace daybook::storage {
namespace {

constexpr std::uint64_t kRecordBytes = 16 * core::MiB;

RedisFacts sound() {
  return {.config = {{"appendonly", "yes"},
                     {"appendfsync", "always"},
                     {"no-appendfsync-on-rewrite", "no"},
                     {"maxmemory-policy", "noeviction"},
                     {"proto-max-bulk-len", "536870912"}},
          .info = {{"role", "master"},
                   {"loading", "0"},
                   {"aof_last_write_status", "ok"},
                   {"maxmemory", "0"},
                   {"used_memory", "1000000"}}};
}

struct Case {
  const char* what;
  bool config;  // or INFO
  const char* name;
  const char* value;
  core::Code code;
  const char* words;
  bool matters_to_memory;  // at durability "memory", too
};

const Case kCases[] = {
    {"a replica", false, "role", "slave", core::Code::misconfigured, "master", true},
    {"loading", false, "loading", "1", core::Code::misconfigured, "loading", true},
    {"eviction of any key", true, "maxmemory-policy", "allkeys-lru", core::Code::misconfigured,
     "CONFIG SET maxmemory-policy noeviction", true},
    {"eviction of keys with a time to live", true, "maxmemory-policy", "volatile-ttl",
     core::Code::misconfigured, "maxmemory-policy", true},
    {"values too small", true, "proto-max-bulk-len", "1048576", core::Code::misconfigured,
     "CONFIG SET proto-max-bulk-len 33554432", true},
    {"no append-only file", true, "appendonly", "no", core::Code::misconfigured,
     "CONFIG SET appendonly yes", false},
    {"a sync each second", true, "appendfsync", "everysec", core::Code::misconfigured,
     "CONFIG SET appendfsync always", false},
    {"no sync at all", true, "appendfsync", "no", core::Code::misconfigured, "appendfsync", false},
    {"no sync while rewriting", true, "no-appendfsync-on-rewrite", "yes", core::Code::misconfigured,
     "CONFIG SET no-appendfsync-on-rewrite no", false},
    {"a failing file", false, "aof_last_write_status", "err", core::Code::misconfigured,
     "aof_last_write_status", false},
    {"memory nearly full", false, "maxmemory", "10000000", core::Code::out_of_space, "maxmemory",
     true},
};

TEST(RedisChecks, finds_nothing_wrong_with_sound_settings) {
  EXPECT_TRUE(check_redis(sound(), "fsync", kRecordBytes));
  EXPECT_TRUE(check_redis(sound(), "memory", kRecordBytes));
}

TEST(RedisChecks, names_each_wrong_setting_and_how_to_mend_it) {
  for (const Case& each : kCases) {
    RedisFacts facts = sound();
    (each.config ? facts.config : facts.info)[each.name] = each.value;
    const auto outcome = check_redis(facts, "fsync", kRecordBytes);
    ASSERT_FALSE(outcome) << each.what;
    EXPECT_EQ(outcome.error().code, each.code) << each.what;
    EXPECT_EQ(outcome.error().origin, core::Origin::buffer) << each.what;
    EXPECT_NE(outcome.error().detail.find(each.words), std::string::npos)
        << each.what << ": " << outcome.error().detail;
    EXPECT_EQ(check_redis(facts, "memory", kRecordBytes).has_value(), !each.matters_to_memory)
        << each.what;
  }
}

TEST(RedisChecks, a_setting_that_redis_does_not_tell_is_not_taken_for_good) {
  for (const char* name : {"appendonly", "appendfsync", "no-appendfsync-on-rewrite",
                           "maxmemory-policy", "proto-max-bulk-len"}) {
    RedisFacts facts = sound();
    facts.config.erase(name);
    EXPECT_FALSE(check_redis(facts, "fsync", kRecordBytes)) << name;
  }
  for (const char* name : {"role", "aof_last_write_status"}) {
    RedisFacts facts = sound();
    facts.info.erase(name);
    EXPECT_FALSE(check_redis(facts, "fsync", kRecordBytes)) << name;
  }
}

TEST(RedisChecks, replicated_wants_fsync_and_that_many_replicas_online) {
  RedisFacts facts = sound();
  facts.info["slave_read_repl_offset"] = "state=online";
  EXPECT_FALSE(check_redis(facts, "replicated:1", kRecordBytes));
  facts.info["slave0"] = "ip=127.0.0.1,port=7001,state=online,offset=14,lag=0";
  EXPECT_TRUE(check_redis(facts, "replicated:1", kRecordBytes));
  facts.info["slave1"] = "ip=127.0.0.1,port=7002,state=wait_bgsave,offset=0,lag=0";
  const auto two = check_redis(facts, "replicated:2", kRecordBytes);
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().code, core::Code::misconfigured);
  EXPECT_NE(two.error().detail.find("has 1 replicas online"), std::string::npos);
  facts.config["appendfsync"] = "everysec";
  EXPECT_FALSE(check_redis(facts, "replicated:1", kRecordBytes));
}

TEST(RedisChecks, what_passes_with_a_failover_is_an_outage_and_no_wrong_setting) {
  RedisFacts facts = sound();
  facts.info["role"] = "slave";
  const auto replica = check_redis(facts, "fsync", kRecordBytes, true);
  ASSERT_FALSE(replica);
  EXPECT_EQ(replica.error().code, core::Code::unavailable);
  facts = sound();
  EXPECT_EQ(check_redis(facts, "replicated:1", kRecordBytes, true).error().code,
            core::Code::unavailable);
  facts.info["cluster_enabled"] = "1";
  EXPECT_TRUE(check_redis(facts, "fsync", kRecordBytes, true));
  const auto node = check_redis(facts, "fsync", kRecordBytes);
  ASSERT_FALSE(node);
  EXPECT_NE(node.error().detail.find("redis+cluster://"), std::string::npos);
}

TEST(RedisChecks, replication_settings_that_break_a_promise_are_named) {
  RedisFacts facts = sound();
  facts.info["slave0"] = "ip=127.0.0.1,port=7001,state=online,offset=14,lag=0";
  facts.config["client-output-buffer-limit"] =
      "normal 0 0 0 slave 20000000 10000000 60 pubsub 33554432 8388608 60";
  const auto limited = check_redis(facts, "replicated:1", kRecordBytes);
  ASSERT_FALSE(limited);
  EXPECT_NE(limited.error().detail.find("client-output-buffer-limit"), std::string::npos);
  EXPECT_TRUE(check_redis(facts, "fsync", kRecordBytes)) << "nothing waits for the replica";
  facts.config["repl-backlog-size"] = "268435456";  // Redis allows a replica that much in any case
  EXPECT_TRUE(check_redis(facts, "replicated:1", kRecordBytes));
  facts.config["min-replicas-to-write"] = "2";
  const auto refusing = check_redis(facts, "fsync", kRecordBytes);
  ASSERT_FALSE(refusing);
  EXPECT_NE(refusing.error().detail.find("min-replicas-to-write is 2 but 1"), std::string::npos);
}

TEST(RedisChecks, advises_on_what_a_failover_would_cost) {
  RedisFacts facts = sound();
  EXPECT_TRUE(advise_redis(facts, "fsync", kRecordBytes, true).empty()) << "there is no replica";
  facts.info["slave0"] = "ip=127.0.0.1,port=7001,state=online,offset=14,lag=0";
  facts.config["min-replicas-to-write"] = "0";
  facts.config["repl-backlog-size"] = "268435456";
  facts.config["repl-diskless-sync-delay"] = "5";
  const auto subjects = [&](const char* durability) {
    std::string text;
    for (const auto& advice : advise_redis(facts, durability, kRecordBytes, true)) {
      text += advice.subject + ";";
    }
    return text;
  };
  EXPECT_EQ(subjects("fsync"), "redis min-replicas-to-write;");
  EXPECT_EQ(subjects("replicated:1"), "redis repl-diskless-sync-delay;");
  facts.config["repl-backlog-size"] = "1048576";
  EXPECT_EQ(subjects("fsync"), "redis min-replicas-to-write;redis repl-backlog-size;");
}

TEST(RedisChecks, judges_replicas_by_what_they_would_be_as_masters) {
  const ReplicaFacts good{"a:1", {{"appendonly", "yes"}, {"appendfsync", "always"}}, ""};
  const ReplicaFacts bare{"b:2", {{"appendonly", "no"}, {"appendfsync", "always"}}, ""};
  const ReplicaFacts away{"c:3", {}, "no route"};
  EXPECT_TRUE(check_replicas({good, bare}, "replicated:1", true));
  EXPECT_TRUE(check_replicas({away}, "replicated:1", true)) << "not known is not wrong";
  EXPECT_TRUE(check_replicas({bare}, "replicated:1", false));
  const auto named = check_replicas({good, bare}, "replicated:2", true);
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().detail.find("b:2"), std::string::npos);
  EXPECT_EQ(advise_replicas({good, bare, away}, "fsync").size(), 2u);
  EXPECT_EQ(advise_replicas({bare}, "memory").size(), 0u);
}

TEST(RedisChecks, knows_who_can_wait_for_an_fsync) {
  for (const auto& [version, can] :
       {std::pair("7.0.15", false), std::pair("7.2.4", true), std::pair("8.0.2", true),
        std::pair("6.2", false), std::pair("10.1", true), std::pair("", false)}) {
    EXPECT_EQ(has_waitaof({{"redis_version", version}}), can) << version;
  }
}

TEST(RedisChecks, finds_the_replicas_of_a_master) {
  const auto replicas = replicas_of_info({{"slave0", "ip=10.0.0.2,port=7001,state=online"},
                                          {"slave1", "ip=::1,port=7002,state=online"},
                                          {"slave_repl_offset", "12"}});
  ASSERT_EQ(replicas.size(), 2u);
  EXPECT_EQ(replicas[0].str(), "10.0.0.2:7001");
  EXPECT_EQ(replicas[1].str(), "[::1]:7002");
}

TEST(RedisChecks, knows_the_replicas_of_a_level) {
  EXPECT_EQ(replicas_of("replicated:1"), 1u);
  EXPECT_EQ(replicas_of("replicated:9"), 9u);
  for (const char* other : {"fsync", "memory", "replicated", "replicated:", "replicated:0",
                            "replicated:10", "replicated:x", ""}) {
    EXPECT_FALSE(replicas_of(other)) << other;
  }
}

TEST(RedisChecks, memory_is_enough_when_one_more_record_fits) {
  RedisFacts facts = sound();
  facts.info["maxmemory"] = std::to_string(1'000'000 + kRecordBytes);
  EXPECT_TRUE(check_redis(facts, "fsync", kRecordBytes));
  facts.info["maxmemory"] = std::to_string(1'000'000 + kRecordBytes - 1);
  EXPECT_FALSE(check_redis(facts, "fsync", kRecordBytes));
}

TEST(RedisChecks, reads_info_lines) {
  const auto info = parse_info("# Server\r\nrole:master\r\n\r\na:b:c\r\nempty:\r\nlast:1");
  EXPECT_EQ(info.at("role"), "master");
  EXPECT_EQ(info.at("a"), "b:c");
  EXPECT_EQ(info.at("empty"), "");
  EXPECT_EQ(info.at("last"), "1");
  EXPECT_EQ(info.size(), 4u);
  EXPECT_TRUE(parse_info("").empty());
}

}  // namespace
}  // namespace daybook::storage
