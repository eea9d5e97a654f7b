#include "storage/redis_facts.hpp"

#include "storage/redis_buffer.hpp"

namespace daybook::storage {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::CommandBatch;
using core::resp::Reply;

constexpr auto kReplicaTimeout = std::chrono::seconds(1);

namespace {

void add_pairs(const Reply& reply, std::map<std::string, std::string>& config) {
  for (std::size_t i = 0; reply.is_array() && i + 1 < reply.elements.size(); i += 2) {
    config[reply.elements[i].text] = reply.elements[i + 1].text;
  }
}

// Every command of the buffer and its scripts, in a form that could be queued.
CommandBatch every_command(std::string_view key, bool with_wait) {
  CommandBatch batch;
  for (std::string_view name : {"GET", "STRLEN", "EXISTS", "UNLINK", "HVALS", "HLEN", "XLEN"}) {
    batch.add({name, key});
  }
  for (std::string_view name : {"HGET", "HMGET", "HDEL", "HEXISTS", "HSCAN", "XDEL", "ZREM"}) {
    batch.add({name, key, "0"});
  }
  batch.add({"SET", key, "0"}).add({"PEXPIRE", key, "1"}).add({"GETRANGE", key, "0", "0"});
  batch.add({"HSET", key, "0", "0"}).add({"HINCRBY", key, "0", "1"});
  batch.add({"ZADD", key, "0", "0"}).add({"ZRANGE", key, "0", "0"});
  batch.add({"XADD", key, "*", "0", "0"}).add({"XRANGE", key, "-", "+"});
  batch.add({"XACK", key, "0", "0"}).add({"XCLAIM", key, "0", "0", "0", "0"});
  batch.add({"XGROUP", "CREATE", key, "0", "0"}).add({"XAUTOCLAIM", key, "0", "0", "0", "0"});
  batch.add({"XREADGROUP", "GROUP", "0", "0", "STREAMS", key, ">"});
  batch.add({"EVAL", "return 0", "1", key}).add({"SCAN", "0"});
  if (with_wait) batch.add({"WAIT", "0", "1"}).add({"WAITAOF", "0", "0", "1"});
  return batch;
}

}  // namespace

Task<Result<RedisFacts>> read_redis_facts(RedisRouter& router, io::Endpoint master,
                                          Deadline deadline) {
  CommandBatch batch;
  for (std::string_view name : kRedisSettings) batch.add({"CONFIG", "GET", name});
  batch.add({"INFO"});
  const auto replies = co_await router.call_master(master, std::move(batch), deadline);
  if (!replies) co_return pass(replies);
  RedisFacts facts;
  for (const Reply& reply : *replies) {
    if (reply.text.starts_with("NOPERM")) {
      co_return core::fail(Code::denied, Origin::buffer, Retry::safe,
                           "Redis says: " + reply.text +
                               ". Daybook must see the settings to keep its promise; allow it: "
                               "ACL SETUSER NAME +config|get +info");
    }
    if (reply.is_error()) co_return core::Failure(classify(reply));
    add_pairs(reply, facts.config);
  }
  facts.info = parse_info(replies->back().text);
  if (!facts.info.contains("used_memory") || !facts.info.contains("maxmemory")) {
    co_return core::fail(Code::misconfigured, Origin::buffer, Retry::safe,
                         "INFO lacks used_memory or maxmemory: this is not a Redis >= 6.2");
  }
  co_return facts;
}

Task<Result<void>> probe_access(RedisRouter& router, io::Endpoint master, std::string key,
                                bool with_wait, Deadline deadline) {
  // Without MULTI or EXEC the commands of the second batch would run.
  CommandBatch transaction;
  transaction.add({"MULTI"}).add({"EXEC"});
  auto replies = co_await router.call_server(master, std::move(transaction), deadline);
  if (replies && !replies->front().is_error() && !replies->back().is_error()) {
    CommandBatch batch;
    batch.add({"MULTI"}).add({"DAYBOOK.NO-SUCH-COMMAND"});  // so that EXEC refuses
    batch.add(every_command(key, with_wait)).add({"EXEC"});
    replies = co_await router.call_server(master, std::move(batch), deadline);
  }
  if (!replies) co_return pass(std::move(replies));
  std::string refused;
  for (const Reply& reply : *replies) {
    if (!reply.text.starts_with("NOPERM")) continue;
    if (!refused.empty()) refused += "; ";
    refused += reply.text.substr(reply.text.find(' ') + 1);
  }
  if (refused.empty()) co_return Result<void>{};
  co_return core::fail(Code::denied, Origin::buffer, Retry::safe,
                       "Redis refuses commands that the buffer needs: " + refused +
                           ". Allow them: ACL SETUSER NAME ~*" + key.substr(1, key.rfind(':') - 1) +
                           "* +@read +@write +@stream +@scripting +@connection +@transaction +wait "
                           "+info +config|get");
}

Task<std::vector<ReplicaFacts>> read_replicas(RedisRouter& router,
                                              std::vector<io::Endpoint> replicas,
                                              Deadline deadline) {
  std::vector<ReplicaFacts> found;
  for (const io::Endpoint& replica : replicas) {
    ReplicaFacts facts;
    facts.address = replica.str();
    CommandBatch batch;
    batch.add({"CONFIG", "GET", "append*"});
    const core::Deadline patience =
        std::min<Deadline>(deadline, std::chrono::steady_clock::now() + kReplicaTimeout);
    const auto replies = co_await router.call_server(replica, std::move(batch), patience);
    if (!replies) {
      facts.trouble = replies.error().detail;
    } else if (replies->front().is_error()) {
      facts.trouble = replies->front().text;
    } else {
      add_pairs(replies->front(), facts.config);
    }
    found.push_back(std::move(facts));
  }
  co_return found;
}

}  // namespace daybook::storage
