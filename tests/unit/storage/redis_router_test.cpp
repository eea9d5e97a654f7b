// RedisRouter against scripted nodes: where commands go, and where they are sent again.
#include "storage/redis_router.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/io/scripted_server.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using storage::RedisRequest;
using storage::RedisRouter;
using storage::RedisTarget;
using Lane = RedisRouter::Lane;
using Words = std::vector<std::string>;

// Answers each command by a function; remembers all but greetings. "" hangs up.
class FakeNode {
 public:
  explicit FakeNode(std::function<std::string(const Words&)> answer)
      : answer_(std::move(answer)), server_([this](Peer& peer) { serve(peer); }) {}
  [[nodiscard]] io::Endpoint endpoint() const { return {"127.0.0.1", server_.port(), ""}; }
  [[nodiscard]] std::string address() const { return endpoint().str(); }
  [[nodiscard]] std::string seen() {
    const std::scoped_lock lock(mutex_);
    return seen_;
  }

 private:
  static std::string read_line(Peer& peer) {
    std::string line;
    while (!line.ends_with("\r\n")) {
      const std::string byte = peer.read_exactly(1);
      if (byte.empty()) return "";
      line += byte;
    }
    return line.substr(0, line.size() - 2);
  }
  void serve(Peer& peer) {
    for (;;) {
      const std::string head = read_line(peer);
      if (head.empty()) return;
      Words words;
      for (int left = std::stoi(head.substr(1)); left > 0; --left) {
        const std::size_t size = std::stoul(read_line(peer).substr(1));
        words.push_back(peer.read_exactly(size + 2).substr(0, size));
      }
      if (words.front() == "PING") {
        peer.send("+PONG\r\n");
        continue;
      }
      if (words.front() != "CLUSTER") {
        const std::scoped_lock lock(mutex_);
        seen_ += (seen_.empty() ? "" : ",") + words.front();
      }
      const std::string answer = answer_(words);
      if (answer.empty()) return;
      peer.send(answer);
    }
  }

  std::function<std::string(const Words&)> answer_;
  std::mutex mutex_;
  std::string seen_;
  ScriptedServer server_;
};

std::string text(const std::string& value) {
  return "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
}
std::string range(int first, int last, const io::Endpoint& node) {
  return "*3\r\n:" + std::to_string(first) + "\r\n:" + std::to_string(last) + "\r\n*2\r\n" +
         text(node.host) + ":" + std::to_string(node.port) + "\r\n";
}

class Router : public ::testing::Test {
 protected:
  RedisRouter make(RedisTarget::Kind kind, std::vector<io::Endpoint> addresses) {
    RedisTarget target;
    target.kind = kind;
    target.addresses = std::move(addresses);
    target.master_name = "wal";
    return RedisRouter(runtime_, target, {});
  }
  RedisRouter::Replies call(RedisRouter& router, const RedisRequest& request,
                            core::Duration within = 5s) {
    return run_on_io(runtime_, router.call(Lane::small, request, runtime_.steady_now() + within));
  }
  static RedisRequest get(std::initializer_list<std::string> keys) {
    RedisRequest request;
    for (const std::string& key : keys) request.on(key).add({"GET", key});
    return request;
  }
  io::IoRuntime runtime_;
};

// "foo" is in slot 12182, "bar" in 5061 (the specification's own examples of CRC16).
struct TwoNodes {
  using Answer = std::function<std::string(const Words&)>;
  TwoNodes(Answer low_answer, Answer high_answer)
      : low([this, low_answer](const Words& words) { return answer(words, low_answer); }),
        high([this, high_answer](const Words& words) { return answer(words, high_answer); }) {}
  std::string answer(const Words& words, const Answer& data) {
    if (words[0] != "CLUSTER") return data(words);
    if (words[1] == "INFO") return text("cluster_state:ok\r\n");
    ++looks;
    return "*2\r\n" + range(0, 8191, low.endpoint()) + range(8192, 16383, high.endpoint());
  }
  std::atomic<int> looks = 0;
  FakeNode low;
  FakeNode high;
};
std::string echo(const Words& words) {
  return words[0] == "GET" ? text("of " + words[1]) : "+OK\r\n";
}

TEST_F(Router, takes_each_key_to_its_owner_and_keeps_the_order_of_replies) {
  TwoNodes nodes(echo, echo);
  RedisRouter router = make(RedisTarget::Kind::cluster, {nodes.low.endpoint()});
  const auto replies = call(router, get({"foo", "bar", "foo"}));
  ASSERT_TRUE(replies) << replies.error().detail;
  ASSERT_EQ(replies->size(), 3u);
  EXPECT_EQ((*replies)[0].text, "of foo");
  EXPECT_EQ((*replies)[1].text, "of bar");
  EXPECT_EQ((*replies)[2].text, "of foo");
  EXPECT_EQ(nodes.low.seen(), "GET");
  EXPECT_EQ(nodes.high.seen(), "GET,GET");
  EXPECT_EQ(nodes.looks, 1);
}

TEST_F(Router, follows_moved_and_looks_again_before_the_next_call) {
  TwoNodes* all = nullptr;
  TwoNodes nodes([&all](const Words&) { return "-MOVED 5061 " + all->high.address() + "\r\n"; },
                 echo);
  all = &nodes;
  RedisRouter router = make(RedisTarget::Kind::cluster, {nodes.low.endpoint()});
  const auto replies = call(router, get({"bar"}));
  ASSERT_TRUE(replies);
  EXPECT_EQ(replies->front().text, "of bar");
  ASSERT_TRUE(call(router, get({"foo"})));
  EXPECT_EQ(nodes.looks, 2);
}

TEST_F(Router, follows_ask_once_and_for_that_unit_only) {
  TwoNodes* all = nullptr;
  TwoNodes nodes([&all](const Words&) { return "-ASK 5061 " + all->high.address() + "\r\n"; },
                 echo);
  all = &nodes;
  RedisRouter router = make(RedisTarget::Kind::cluster, {nodes.low.endpoint()});
  for (int i = 0; i < 2; ++i) {
    const auto replies = call(router, get({"bar", "foo"}));
    ASSERT_TRUE(replies);
    ASSERT_EQ(replies->size(), 2u);
    EXPECT_EQ((*replies)[0].text, "of bar");
    EXPECT_EQ((*replies)[1].text, "of foo");
  }
  EXPECT_EQ(nodes.low.seen(), "GET,GET");
  EXPECT_EQ(nodes.high.seen(), "GET,ASKING,GET,GET,ASKING,GET");
  EXPECT_EQ(nodes.looks, 1);
}

TEST_F(Router, a_transaction_is_asked_for_as_a_whole) {
  TwoNodes* all = nullptr;
  TwoNodes nodes(
      [&all](const Words& words) -> std::string {
        if (words[0] == "MULTI") return "+OK\r\n";
        if (words[0] == "EXEC") return "-EXECABORT refused\r\n";
        return "-ASK 5061 " + all->high.address() + "\r\n";
      },
      [](const Words& words) { return words[0] == "EXEC" ? "*1\r\n+OK\r\n" : "+QUEUED\r\n"; });
  all = &nodes;
  RedisRouter router = make(RedisTarget::Kind::cluster, {nodes.low.endpoint()});
  RedisRequest request;
  request.on("bar").add({"MULTI"}).add({"SET", "bar", "1"}).add({"EXEC"});
  const auto replies = call(router, request);
  ASSERT_TRUE(replies);
  ASSERT_EQ(replies->size(), 3u);
  EXPECT_TRUE(replies->back().is_array());
  EXPECT_EQ(nodes.high.seen(), "ASKING,MULTI,SET,EXEC");
}

TEST_F(Router, waits_while_keys_are_on_both_sides_and_then_says_so) {
  std::atomic<int> left = 3;
  TwoNodes nodes(
      [&left](const Words&) { return left-- > 0 ? "-TRYAGAIN later\r\n" : text("at last"); },
      [](const Words&) { return "-TRYAGAIN later\r\n"; });
  RedisRouter router = make(RedisTarget::Kind::cluster, {nodes.low.endpoint()});
  const auto replies = call(router, get({"bar"}));
  ASSERT_TRUE(replies);
  EXPECT_EQ(replies->front().text, "at last");
  const auto never = call(router, get({"foo"}), 30s);
  ASSERT_TRUE(never);
  EXPECT_TRUE(never->front().text.starts_with("TRYAGAIN"));
}

TEST_F(Router, asks_a_node_that_answers_when_a_master_is_gone) {
  TwoNodes nodes(echo, [](const Words&) { return std::string(); });
  RedisRouter router =
      make(RedisTarget::Kind::cluster, {{"127.0.0.1", 1, ""}, nodes.low.endpoint()});
  const auto lost = call(router, get({"foo"}));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, core::Code::closed);
  ASSERT_TRUE(call(router, get({"bar"})));  // the others go on
  EXPECT_EQ(nodes.looks, 2);
}

TEST_F(Router, a_reader_gets_what_others_gave_out_though_a_master_is_gone) {
  TwoNodes nodes(echo, [](const Words&) { return std::string(); });
  RedisRouter router = make(RedisTarget::Kind::cluster, {nodes.low.endpoint()});
  const RedisRequest request = get({"foo", "bar"});
  const auto replies =
      run_on_io(runtime_, router.call(Lane::read, request, runtime_.steady_now() + 5s));
  ASSERT_TRUE(replies);
  EXPECT_TRUE(replies->front().text.starts_with("LOST "));
  EXPECT_EQ(replies->back().text, "of bar");
  EXPECT_FALSE(call(router, request)) << "elsewhere all or nothing";
}

TEST_F(Router, a_slot_that_nobody_serves_is_unavailable) {
  FakeNode* self = nullptr;
  FakeNode node([&self](const Words& words) {
    if (words[1] == "INFO") return text("cluster_state:ok\r\n");
    return "*1\r\n" + range(0, 100, self->endpoint());
  });
  self = &node;
  RedisRouter router = make(RedisTarget::Kind::cluster, {node.endpoint()});
  const auto replies = call(router, get({"foo"}));
  ASSERT_FALSE(replies);
  EXPECT_EQ(replies.error().code, core::Code::unavailable);
  EXPECT_NE(replies.error().detail.find("slot 12182"), std::string::npos);
}

TEST_F(Router, takes_the_next_sentinel_when_one_names_what_is_no_master) {
  FakeNode replica([](const Words&) { return "*1\r\n" + text("slave"); });
  FakeNode master([](const Words& words) {
    return words[0] == "ROLE" ? "*1\r\n" + text("master") : echo(words);
  });
  const auto naming = [](const FakeNode& node) {
    return [&node](const Words&) {
      return "*2\r\n" + text("127.0.0.1") + text(std::to_string(node.endpoint().port));
    };
  };
  FakeNode stale(naming(replica));
  FakeNode fresh(naming(master));
  RedisRouter router = make(RedisTarget::Kind::sentinel, {stale.endpoint(), fresh.endpoint()});
  const auto replies = call(router, get({"foo"}));
  ASSERT_TRUE(replies) << replies.error().detail;
  EXPECT_EQ(replies->front().text, "of foo");
  EXPECT_EQ(router.master_of("foo")->port, master.endpoint().port);
}

TEST_F(Router, a_master_that_became_a_replica_is_left) {
  std::atomic<bool> failed_over = false;
  FakeNode old([&failed_over](const Words& words) {
    if (words[0] == "ROLE") return "*1\r\n" + text(failed_over ? "slave" : "master");
    return failed_over ? "-READONLY a replica\r\n" : echo(words);
  });
  FakeNode next([](const Words& words) {
    return words[0] == "ROLE" ? "*1\r\n" + text("master") : text("of the next");
  });
  FakeNode sentinel([&](const Words&) {
    const int port = (failed_over ? next : old).endpoint().port;
    return "*2\r\n" + text("127.0.0.1") + text(std::to_string(port));
  });
  RedisRouter router = make(RedisTarget::Kind::sentinel, {sentinel.endpoint()});
  ASSERT_TRUE(call(router, get({"foo"})));
  failed_over = true;
  const auto refused = call(router, get({"foo"}));  // a value: the caller decides
  ASSERT_TRUE(refused);
  EXPECT_TRUE(refused->front().is_error());
  const auto replies = call(router, get({"foo"}));
  ASSERT_TRUE(replies);
  EXPECT_EQ(replies->front().text, "of the next");
}

TEST(RedisSlot, is_that_of_the_tag) {
  EXPECT_EQ(storage::redis_slot("foo"), 12182);
  EXPECT_EQ(storage::redis_slot("bar"), 5061);
  EXPECT_EQ(storage::redis_slot("{bar}:wal"), 5061);
  EXPECT_EQ(storage::redis_slot("x{bar}y{foo}"), 5061);
  EXPECT_EQ(storage::redis_slot("{}bar"), storage::redis_slot("{}bar"));
  EXPECT_NE(storage::redis_slot("{}bar"), 5061);
  EXPECT_EQ(storage::redis_slot("123456789"), 12739);
}

}  // namespace
}  // namespace daybook::tests
