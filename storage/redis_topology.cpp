#include "storage/redis_topology.hpp"

#include <algorithm>
#include <charconv>

#include <boost/crc.hpp>

#include "storage/redis_request.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::CommandBatch;
using core::resp::Reply;

// A node that does not know its own name, or may not say it, means the address it was asked at.
std::string host_or(const std::string& host, const io::Endpoint& asked) {
  return host.empty() || host == "?" ? asked.host : host;
}

std::optional<io::Endpoint> endpoint_of(const Reply& host, const Reply& port,
                                        const io::Endpoint& asked) {
  std::int64_t number = port.integer;
  if (port.type == Reply::Type::text) {
    const auto [end, error] =
        std::from_chars(port.text.data(), port.text.data() + port.text.size(), number);
    if (error != std::errc{}) return std::nullopt;
  }
  if (number < 1 || number > 65535) return std::nullopt;
  return io::Endpoint{host_or(host.text, asked), static_cast<std::uint16_t>(number), {}};
}

core::Failure nobody_knows(const std::string& why) {
  return core::fail(Code::unavailable, Origin::buffer, Retry::safe, why);
}

// Keeps the worst of what several said: what somebody must mend outweighs what may pass.
class Complaints {
 public:
  void add(const io::Endpoint& who, const core::Error& error) {
    const bool mendable = error.code == Code::denied || error.code == Code::misconfigured;
    if (mendable && !mendable_) code_ = error.code;
    mendable_ = mendable_ || mendable;
    if (!text_.empty()) text_ += "; ";
    if (error.detail.find(who.str()) == std::string::npos) text_ += who.str() + ": ";
    text_ += error.detail;
  }
  [[nodiscard]] core::Failure failure(const std::string& what) const {
    return core::fail(code_, Origin::buffer, Retry::safe, what + ": " + text_);
  }

 private:
  Code code_ = Code::unavailable;
  bool mendable_ = false;
  std::string text_;
};

core::Failure answers(const Reply& reply) {
  const bool denied = reply.text.starts_with("NOPERM");
  return core::fail(
      denied ? Code::denied : Code::unavailable, Origin::buffer, Retry::safe,
      "answers: " + reply.text +
          (denied ? ". Allow it: ACL SETUSER NAME +role +cluster|slots +cluster|info +sentinel"
                  : ""));
}

Task<Result<io::Endpoint>> ask_sentinel(io::Endpoint sentinel, std::string master_name,
                                        AskRedis ask) {
  CommandBatch batch;
  batch.add({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", master_name});
  const auto replies = co_await ask(sentinel, true, std::move(batch));
  if (!replies) co_return pass(replies);
  const Reply& reply = replies->front();
  if (reply.is_nil()) {
    co_return core::fail(Code::misconfigured, Origin::buffer, Retry::safe,
                         "knows no master '" + master_name +
                             "'. Correct its name in buffer.url; redis-cli -p PORT SENTINEL "
                             "MASTERS lists them");
  }
  if (reply.text.starts_with("ERR unknown command")) {
    co_return core::fail(Code::misconfigured, Origin::buffer, Retry::safe,
                         "is no sentinel. Name the sentinels, or a server with redis://");
  }
  if (reply.is_error()) co_return answers(reply);
  if (reply.is_array() && reply.elements.size() == 2) {
    if (auto master = endpoint_of(reply.elements[0], reply.elements[1], sentinel)) {
      co_return std::move(*master);
    }
  }
  co_return nobody_knows("names no address");
}

// A sentinel that has not heard of a failover yet names the old master.
Task<Result<void>> confirm_master(io::Endpoint master, AskRedis ask) {
  CommandBatch batch;
  batch.add({"ROLE"});
  const auto replies = co_await ask(master, false, std::move(batch));
  if (!replies) co_return pass(replies);
  const Reply& role = replies->front();
  if (role.is_error()) co_return answers(role);
  if (role.is_array() && !role.elements.empty() && role.elements[0].text == "master") {
    co_return Result<void>{};
  }
  co_return nobody_knows("the sentinel names " + master.str() +
                         ", which is no master at present; a failover is under way");
}

Task<Result<RedisTopology>> ask_node(io::Endpoint node, AskRedis ask) {
  CommandBatch batch;
  batch.add({"CLUSTER", "SLOTS"}).add({"CLUSTER", "INFO"});
  const auto replies = co_await ask(node, false, std::move(batch));
  if (!replies) co_return pass(replies);
  const Reply& slots = replies->front();
  if (slots.text.find("cluster support disabled") != std::string::npos) {
    co_return core::fail(Code::misconfigured, Origin::buffer, Retry::safe,
                         "is not part of a cluster. Use redis:// for it, or name other nodes");
  }
  if (slots.is_error()) co_return answers(slots);
  // A node that was cut off, or has just started, may know an old order of things.
  if (replies->back().text.find("cluster_state:ok") == std::string::npos) {
    co_return nobody_knows(
        "says that the cluster is down: a master is missing, or slots are not covered; "
        "redis-cli --cluster check " +
        node.str() + " says which");
  }
  auto topology = parse_cluster_slots(slots, node);
  if (!topology) co_return nobody_knows("gives no usable answer to CLUSTER SLOTS");
  co_return std::move(*topology);
}

}  // namespace

std::uint16_t redis_slot(std::string_view key) {
  if (const std::size_t open = key.find('{'); open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  boost::crc_optimal<16, 0x1021, 0, 0, false, false> crc;
  crc.process_bytes(key.data(), key.size());
  return static_cast<std::uint16_t>(crc.checksum() % kRedisSlots);
}

std::optional<RedisTopology> parse_cluster_slots(const Reply& reply, const io::Endpoint& asked) {
  if (!reply.is_array() || reply.elements.empty()) return std::nullopt;
  RedisTopology topology;
  topology.owners.assign(kRedisSlots, RedisTopology::kNobody);
  for (const Reply& range : reply.elements) {
    // [first slot, last slot, [host, port, id, …] of the master, its replicas …]
    if (range.elements.size() < 3 || range.elements[2].elements.size() < 2) return std::nullopt;
    const std::int64_t first = range.elements[0].integer;
    const std::int64_t last = range.elements[1].integer;
    const Reply& master = range.elements[2];
    const auto endpoint = endpoint_of(master.elements[0], master.elements[1], asked);
    if (!endpoint || first < 0 || last < first || last >= kRedisSlots) return std::nullopt;
    const auto known = std::ranges::find(topology.masters, endpoint->str(), &io::Endpoint::str);
    const auto index = static_cast<std::uint16_t>(known - topology.masters.begin());
    if (known == topology.masters.end()) topology.masters.push_back(*endpoint);
    std::fill(topology.owners.begin() + first, topology.owners.begin() + last + 1, index);
  }
  return topology;
}

Redirect parse_redirect(const Reply& reply, const io::Endpoint& asked) {
  if (!reply.is_error()) return {};
  if (reply.text.starts_with("TRYAGAIN")) return {Redirect::Kind::again, 0, {}};
  const bool moved = reply.text.starts_with("MOVED ");
  if (!moved && !reply.text.starts_with("ASK ")) return {};
  const std::string_view rest = std::string_view(reply.text).substr(moved ? 6 : 4);
  const std::size_t space = rest.find(' ');
  const std::size_t colon = rest.rfind(':');
  if (space == std::string_view::npos || colon == std::string_view::npos || colon < space)
    return {};
  Redirect redirect{moved ? Redirect::Kind::moved : Redirect::Kind::ask, 0, {}};
  const auto number = [](std::string_view text, std::uint16_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
  };
  if (!number(rest.substr(0, space), redirect.slot) || redirect.slot >= kRedisSlots) return {};
  if (!number(rest.substr(colon + 1), redirect.to.port)) return {};
  redirect.to.host = host_or(std::string(rest.substr(space + 1, colon - space - 1)), asked);
  return redirect;
}

Task<Result<RedisTopology>> ask_sentinels(std::vector<io::Endpoint>& sentinels,
                                          std::string master_name, AskRedis ask) {
  Complaints complaints;
  for (std::size_t i = 0; i < sentinels.size(); ++i) {
    const io::Endpoint sentinel = sentinels[i];
    const auto master = co_await ask_sentinel(sentinel, master_name, ask);
    if (!master) {
      complaints.add(sentinel, master.error());
      continue;
    }
    if (const auto confirmed = co_await confirm_master(*master, ask); !confirmed) {
      complaints.add(sentinel, confirmed.error());
      continue;
    }
    std::rotate(sentinels.begin(), sentinels.begin() + static_cast<std::ptrdiff_t>(i),
                sentinels.end());
    co_return RedisTopology{{*master}, {}};
  }
  co_return complaints.failure("no sentinel leads to a master of '" + master_name + "'");
}

Task<Result<RedisTopology>> ask_cluster(std::vector<io::Endpoint>& nodes, AskRedis ask) {
  Complaints complaints;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const io::Endpoint node = nodes[i];
    auto topology = co_await ask_node(node, ask);
    if (!topology) {
      complaints.add(node, topology.error());
      continue;
    }
    std::rotate(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(i), nodes.end());
    co_return topology;
  }
  co_return complaints.failure("no node of the cluster says who serves which slot");
}

}  // namespace daybook::storage
