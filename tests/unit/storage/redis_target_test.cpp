// The addresses of Redis as an operator writes them.
#include "storage/redis_target.hpp"

#include <gtest/gtest.h>

namespace daybook::storage {
namespace {

using Kind = RedisTarget::Kind;

RedisTarget parsed(const std::string& url) {
  auto target = parse_redis_url(url);
  EXPECT_TRUE(target) << url << (target ? "" : target.error().detail);
  return target ? *target : RedisTarget{};
}

TEST(RedisTarget, one_server) {
  const RedisTarget plain = parsed("redis://10.0.0.1:7000");
  EXPECT_EQ(plain.kind, Kind::single);
  EXPECT_EQ(plain.addresses.at(0).str(), "10.0.0.1:7000");
  EXPECT_EQ(plain.login.database, 0u);
  EXPECT_FALSE(plain.login.tls);
  const RedisTarget usual = parsed("redis://cache.internal/3");
  EXPECT_EQ(usual.addresses.at(0).str(), "cache.internal:6379");
  EXPECT_EQ(usual.login.database, 3u);
  EXPECT_EQ(parsed("redis://[::1]").addresses.at(0).str(), "[::1]:6379");
  EXPECT_EQ(parsed("unix:/run/redis.sock").addresses.at(0).unix_path, "/run/redis.sock");
  EXPECT_TRUE(parsed("rediss://cache.internal/3").login.tls);
}

TEST(RedisTarget, sentinels_and_the_name_of_a_master) {
  const RedisTarget target = parsed("rediss+sentinel://a,b:7000,[::1]/wal/2");
  EXPECT_EQ(target.kind, Kind::sentinel);
  ASSERT_EQ(target.addresses.size(), 3u);
  EXPECT_EQ(target.addresses[0].str(), "a:26379");
  EXPECT_EQ(target.addresses[1].str(), "b:7000");
  EXPECT_EQ(target.addresses[2].str(), "[::1]:26379");
  EXPECT_EQ(target.master_name, "wal");
  EXPECT_EQ(target.login.database, 2u);
  EXPECT_TRUE(target.login.tls);
}

TEST(RedisTarget, nodes_of_a_cluster) {
  const RedisTarget target = parsed("redis+cluster://a:1,b");
  EXPECT_EQ(target.kind, Kind::cluster);
  ASSERT_EQ(target.addresses.size(), 2u);
  EXPECT_EQ(target.addresses[1].str(), "b:6379");
}

TEST(RedisTarget, anything_else_is_refused_with_the_form_it_should_have) {
  for (const char* bad :
       {"", "http://a", "redis://a/x", "redis://a:b", "redis://a/1x", "redis://a:0",
        "unix:", "unix:relative", "redis://", "redis://a,b", "redis+cluster://a/1",
        "redis+cluster://a,", "redis+sentinel://a", "redis+sentinel://a/",
        "redis+sentinel://a/wal/x", "redis+x://a", "redisss://a", "redis://a b", "redis://a/-1"}) {
    const auto target = parse_redis_url(bad);
    ASSERT_FALSE(target) << bad;
    EXPECT_TRUE(target.error().detail.starts_with("buffer.url: ")) << bad;
  }
}

TEST(RedisTarget, a_password_in_the_text_is_not_repeated) {
  const auto target = parse_redis_url("redis://me:opensesame@a");
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().detail.find("opensesame"), std::string::npos);
}

TEST(RedisTarget, each_server_is_expected_under_its_own_name) {
  core::Config config;
  config.buffer_url = "rediss+sentinel://s1,s2/wal/2";
  config.buffer_username = "me";
  config.buffer_password = "secret";
  config.buffer_sentinel_password = "other";
  config.buffer_tls_verify = true;
  config.buffer_tls_ca_file = "/ca.pem";
  const auto target = redis_target(config);
  ASSERT_TRUE(target);
  const io::RespSettings server = target->server({"10.0.0.1", 6379, ""});
  EXPECT_EQ(server.tls->server_name, "10.0.0.1");
  EXPECT_EQ(server.tls->ca_file, "/ca.pem");
  EXPECT_TRUE(server.tls->verify_peer);
  EXPECT_EQ(server.username, "me");
  EXPECT_EQ(server.database, 2u);
  const io::RespSettings sentinel = target->sentinel(target->addresses[0]);
  EXPECT_EQ(sentinel.tls->server_name, "s1");
  EXPECT_EQ(sentinel.username, "");
  EXPECT_EQ(sentinel.password, "other");
  EXPECT_EQ(sentinel.database, 0u);
  config.buffer_tls_server_name = "redis.internal";
  EXPECT_EQ(redis_target(config)->server({"10.0.0.1", 6379, ""}).tls->server_name,
            "redis.internal");
}

}  // namespace
}  // namespace daybook::storage
