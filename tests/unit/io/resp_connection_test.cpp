// RespConnection and RespPool against a scripted server: bounds, broken connections, outcomes.
#include "io/resp_connection.hpp"

#include <atomic>

#include <gtest/gtest.h>

#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/io/scripted_server.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using core::Code;
using core::Retry;
using core::resp::CommandBatch;
using Replies = core::Result<std::vector<core::resp::Reply>>;

constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";

CommandBatch get(std::string_view key) {
  CommandBatch batch;
  batch.add({"GET", key});
  return batch;
}
std::size_t get_size(std::string_view key) {
  return core::total_bytes(get(key).slices());
}
io::RespSettings settings_of(const ScriptedServer& server) {
  io::RespSettings settings;
  settings.endpoint = {"127.0.0.1", server.port(), ""};
  return settings;
}
core::Task<Replies> get_from(io::RespPool& pool, std::string key, core::Deadline deadline) {
  const CommandBatch batch = get(key);
  co_return co_await pool.call(batch, deadline);
}

// Answers the greeting and then each GET of a one-letter key.
void serve_gets(Peer& peer, int how_many) {
  if (peer.read_exactly(kPing.size()) != kPing) return;
  peer.send("+PONG\r\n");
  for (int i = 0; i < how_many; ++i) {
    const std::string command = peer.read_exactly(get_size("x"));
    if (command.size() != get_size("x")) return;
    peer.send("$1\r\n" + command.substr(command.size() - 3, 1) + "\r\n");
  }
}

TEST(RespConnection, authenticates_and_selects_before_it_is_used) {
  std::string greeting;
  const std::string expected =
      "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" +
      std::string(kPing);
  ScriptedServer server([&](Peer& peer) {
    greeting = peer.read_exactly(expected.size());
    peer.send("+OK\r\n+OK\r\n+PONG\r\n");
    peer.read_exactly(1);
  });
  io::IoRuntime runtime;
  io::RespSettings settings = settings_of(server);
  settings.username = "me";
  settings.password = "secret";
  settings.database = 3;
  auto connection = run_on_io(runtime, io::RespConnection::open(runtime, settings, soon()));
  ASSERT_TRUE(connection) << connection.error().detail;
  EXPECT_EQ(greeting, expected);
}

TEST(RespConnection, a_wrong_password_names_the_settings) {
  ScriptedServer server([](Peer& peer) {
    peer.read_exactly(kPing.size());
    peer.send("-NOAUTH Authentication required.\r\n");
    peer.read_exactly(1);
  });
  io::IoRuntime runtime;
  const auto connection =
      run_on_io(runtime, io::RespConnection::open(runtime, settings_of(server), soon()));
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, Code::denied);
  EXPECT_NE(connection.error().detail.find("buffer.password"), std::string::npos);
}

TEST(RespConnection, error_replies_are_values) {
  ScriptedServer server([](Peer& peer) {
    peer.read_exactly(kPing.size());
    peer.send("+PONG\r\n");
    peer.read_exactly(get_size("x"));
    peer.send("-WRONGTYPE no\r\n");
    peer.read_exactly(1);
  });
  io::IoRuntime runtime;
  io::RespPool pool(runtime, settings_of(server), 1);
  const auto replies = run_on_io(runtime, get_from(pool, "x", soon()));
  ASSERT_TRUE(replies);
  EXPECT_TRUE(replies->front().is_error());
}

TEST(RespPool, keeps_a_connection_and_uses_it_again) {
  std::atomic<int> connections = 0;
  ScriptedServer server([&](Peer& peer) {
    ++connections;
    serve_gets(peer, 100);
  });
  io::IoRuntime runtime;
  io::RespPool pool(runtime, settings_of(server), 4);
  for (const std::string key : {"a", "b", "c"}) {
    const auto replies = run_on_io(runtime, get_from(pool, key, soon()));
    ASSERT_TRUE(replies);
    EXPECT_EQ(replies->front().text, key);
  }
  EXPECT_EQ(connections, 1);
  pool.drop_idle();
  ASSERT_TRUE(run_on_io(runtime, get_from(pool, "d", soon())));
  EXPECT_EQ(connections, 2);
  pool.drop_idle();
}

TEST(RespPool, opens_no_more_connections_than_it_may) {
  std::atomic<int> connections = 0;
  ScriptedServer server([&](Peer& peer) {
    ++connections;
    serve_gets(peer, 1000);
  });
  io::IoRuntime runtime;
  io::RespPool pool(runtime, settings_of(server), 3);
  std::vector<core::Task<Replies>> tasks;
  for (int i = 0; i < 60; ++i) {
    tasks.push_back(get_from(pool, std::string(1, static_cast<char>('a' + i % 26)), soon()));
  }
  const auto all = run_on_io(runtime, gather(std::move(tasks)));
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_TRUE(all[i]);
    EXPECT_EQ(all[i]->front().text, std::string(1, static_cast<char>('a' + i % 26)))
        << "an answer went to somebody else";
  }
  EXPECT_LE(connections, 3);
  pool.drop_idle();
}

TEST(RespPool, waits_for_a_connection_until_the_deadline_only) {
  ScriptedServer server([](Peer& peer) {
    peer.read_exactly(kPing.size());
    peer.send("+PONG\r\n");
    peer.read_exactly(10'000);  // never answers
  });
  io::IoRuntime runtime;
  io::RespPool pool(runtime, settings_of(server), 1);
  std::vector<core::Task<Replies>> tasks;
  tasks.push_back(get_from(pool, "a", within(600ms)));
  tasks.push_back(get_from(pool, "b", within(200ms)));
  const auto before = std::chrono::steady_clock::now();
  const auto all = run_on_io(runtime, gather(std::move(tasks)));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
  ASSERT_FALSE(all[0]);
  ASSERT_FALSE(all[1]);
  EXPECT_EQ(all[0].error().retry, Retry::unknown_outcome) << "it was sent";
  EXPECT_EQ(all[1].error().code, Code::timeout);
  EXPECT_EQ(all[1].error().retry, Retry::safe) << "it was not";
}

TEST(RespPool, a_connection_that_breaks_is_an_unknown_outcome_and_not_used_again) {
  std::atomic<int> connections = 0;
  ScriptedServer server([&](Peer& peer) {
    if (++connections == 1) {
      peer.read_exactly(kPing.size());
      peer.send("+PONG\r\n");
      peer.read_exactly(get_size("x"));
      peer.send("$1\r");  // half an answer, then the end
      return;
    }
    serve_gets(peer, 10);
  });
  io::IoRuntime runtime;
  io::RespPool pool(runtime, settings_of(server), 2);
  const auto broken = run_on_io(runtime, get_from(pool, "x", soon()));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().retry, Retry::unknown_outcome);
  const auto good = run_on_io(runtime, get_from(pool, "y", soon()));
  ASSERT_TRUE(good);
  EXPECT_EQ(good->front().text, "y");
  pool.drop_idle();
}

TEST(RespPool, what_is_no_redis_is_an_error) {
  ScriptedServer server([](Peer& peer) {
    peer.read_exactly(kPing.size());
    peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    peer.read_exactly(1);
  });
  io::IoRuntime runtime;
  io::RespPool pool(runtime, settings_of(server), 2);
  const auto replies = run_on_io(runtime, get_from(pool, "x", within(2s)));
  ASSERT_FALSE(replies);
  EXPECT_NE(replies.error().detail.find("not RESP"), std::string::npos) << replies.error().detail;
}

}  // namespace
}  // namespace daybook::tests
