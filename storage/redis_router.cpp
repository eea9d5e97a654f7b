#include "storage/redis_router.hpp"

#include <algorithm>

namespace daybook::storage {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::CommandBatch;
using core::resp::Reply;

// A server that is gone does not refuse: packets to it vanish. Another one has its place by then.
constexpr auto kConnectTimeout = std::chrono::seconds(3);
constexpr auto kAskTimeout = std::chrono::seconds(2);
constexpr auto kFollowPause = std::chrono::milliseconds(20);
constexpr auto kFollowFor = std::chrono::seconds(1);

struct RedisRouter::Node {
  Node(io::IoRuntime& runtime, const io::RespSettings& settings, Connections most)
      : endpoint(settings.endpoint),
        pools{io::RespPool(runtime, settings, most.small),
              io::RespPool(runtime, settings, most.append),
              io::RespPool(runtime, settings, most.read)} {}
  io::Endpoint endpoint;
  std::array<io::RespPool, 3> pools;  // by Lane
};

// A unit on its way.
struct RedisRouter::Pending {
  const RedisRequest::Unit* unit = nullptr;
  std::vector<Reply> replies;
  Redirect redirect;
};

namespace {

bool is_lost(const core::Error& error) {
  return error.retry == Retry::unknown_outcome || error.code == Code::unavailable ||
         error.code == Code::closed;
}

// The server is not, or not now, what the picture says.
bool shows_old_picture(const Reply& reply) {
  if (!reply.is_error()) return false;
  return std::ranges::any_of(std::array{"READONLY", "CLUSTERDOWN", "MASTERDOWN", "LOADING"},
                             [&reply](const char* word) { return reply.text.starts_with(word); });
}

}  // namespace

RedisRouter::RedisRouter(io::IoRuntime& runtime, RedisTarget target, Connections connections)
    : runtime_(runtime),
      target_(std::move(target)),
      connections_(connections),
      looked_(runtime.make_signal()) {
  if (target_.kind != RedisTarget::Kind::single) {
    target_.login.connect_timeout = kConnectTimeout;
    return;
  }
  adopt({target_.addresses, {}});
  in_doubt_ = false;
}

// --- where masters are ---

RedisRouter::NodePtr RedisRouter::node(const io::Endpoint& endpoint) {
  NodePtr& found = nodes_[endpoint.str()];
  if (!found) found = std::make_shared<Node>(runtime_, target_.server(endpoint), connections_);
  return found;
}

RedisRouter::NodePtr RedisRouter::owner_of(std::uint16_t slot) const {
  if (owners_.empty()) return masters_.empty() ? nullptr : masters_.front();
  const std::uint16_t index = owners_[slot];
  return index < masters_.size() ? masters_[index] : nullptr;
}

std::vector<io::Endpoint> RedisRouter::masters() const {
  std::vector<io::Endpoint> endpoints;
  endpoints.reserve(masters_.size());
  for (const NodePtr& master : masters_) endpoints.push_back(master->endpoint);
  return endpoints;
}

std::optional<io::Endpoint> RedisRouter::master_of(std::string_view key) const {
  const NodePtr owner = owner_of(redis_slot(key));
  return owner ? std::optional(owner->endpoint) : std::nullopt;
}

void RedisRouter::adopt(RedisTopology topology) {
  masters_.clear();
  for (const io::Endpoint& endpoint : topology.masters) masters_.push_back(node(endpoint));
  owners_ = std::move(topology.owners);
  // Calls that are under way keep theirs alive.
  std::erase_if(nodes_, [this](const auto& known) {
    return std::ranges::find(masters_, known.second) == masters_.end();
  });
}

Task<RedisRouter::Replies> RedisRouter::ask(io::Endpoint endpoint, bool as_sentinel,
                                            CommandBatch batch, Deadline deadline) {
  deadline = std::min(deadline, runtime_.steady_now() + kAskTimeout);
  if (!as_sentinel) {
    // Not call_node(): a node that is gone is no news while we look for the others.
    const NodePtr asked = node(endpoint);
    co_return co_await asked->pools.front().call(batch, deadline);
  }
  auto& pool = sentinels_[endpoint.str()];
  if (!pool) pool = std::make_unique<io::RespPool>(runtime_, target_.sentinel(endpoint), 1);
  auto replies = co_await pool->call(batch, deadline);
  // A kept connection may be one to a sentinel that was restarted since.
  if (!replies && replies.error().code == Code::closed) {
    replies = co_await pool->call(batch, deadline);
  }
  co_return replies;
}

// Those of the last picture first: addresses of the configuration may be long gone.
std::vector<io::Endpoint> RedisRouter::nodes_to_ask() const {
  std::vector<io::Endpoint> nodes = masters();
  for (const io::Endpoint& seed : target_.addresses) {
    if (std::ranges::find(nodes, seed.str(), &io::Endpoint::str) == nodes.end()) {
      nodes.push_back(seed);
    }
  }
  std::ranges::partition(nodes,
                         [this](const io::Endpoint& node) { return node.str() == answered_last_; });
  return nodes;
}

Task<Result<void>> RedisRouter::look(Deadline deadline) {
  if (target_.kind == RedisTarget::Kind::single) co_return Result<void>{};
  while (looking_) {
    if (!co_await looked_->wait(deadline) && runtime_.steady_now() >= deadline) {
      co_return core::fail(Code::unavailable, Origin::buffer, Retry::safe,
                           "it is not known yet which Redis server is the master");
    }
    if (!looking_) co_return last_look_;
  }
  looking_ = true;
  in_doubt_ = false;  // unless something breaks while we look
  const AskRedis asking = [this, deadline](io::Endpoint endpoint, bool as_sentinel,
                                           CommandBatch batch) {
    return ask(std::move(endpoint), as_sentinel, std::move(batch), deadline);
  };
  Result<RedisTopology> found;
  if (target_.kind == RedisTarget::Kind::sentinel) {
    found = co_await ask_sentinels(target_.addresses, target_.master_name, asking);
  } else {
    std::vector<io::Endpoint> nodes = nodes_to_ask();
    found = co_await ask_cluster(nodes, asking);
    if (found) answered_last_ = nodes.front().str();
  }
  if (found) {
    adopt(std::move(*found));
    last_look_ = {};
  } else {
    in_doubt_ = true;
    last_look_ = pass(found);
  }
  looking_ = false;
  looked_->notify_all();
  co_return last_look_;
}

Task<Result<void>> RedisRouter::know(Deadline deadline) {
  if (!in_doubt_ && !looking_) co_return Result<void>{};
  co_return co_await look(deadline);
}

// --- calls ---

Task<RedisRouter::Replies> RedisRouter::call_node(NodePtr node, Lane lane,
                                                  const CommandBatch& batch, Deadline deadline) {
  auto replies = co_await node->pools[static_cast<std::size_t>(lane)].call(batch, deadline);
  if (!replies && is_lost(replies.error())) {
    // Connections of the other lanes lead to the same server.
    for (io::RespPool& pool : node->pools) pool.drop_idle();
    in_doubt_ = target_.kind != RedisTarget::Kind::single;
  }
  if (replies && target_.kind != RedisTarget::Kind::single &&
      std::ranges::any_of(*replies, shows_old_picture)) {
    in_doubt_ = true;
  }
  co_return replies;
}

Task<RedisRouter::Replies> RedisRouter::call_master(io::Endpoint master, CommandBatch batch,
                                                    Deadline deadline) {
  const NodePtr asked = node(master);
  co_return co_await call_node(asked, Lane::small, batch, deadline);
}

Task<RedisRouter::Replies> RedisRouter::call_server(io::Endpoint endpoint, CommandBatch batch,
                                                    Deadline deadline) {
  auto connection =
      co_await io::RespConnection::open(runtime_, target_.server(std::move(endpoint)), deadline);
  if (!connection) co_return pass(std::move(connection));
  co_return co_await (*connection)->call(batch, deadline);
}

Task<RedisRouter::Replies> RedisRouter::call(Lane lane, const RedisRequest& request,
                                             Deadline deadline) {
  std::vector<Pending> units(request.units.size());
  std::vector<Pending*> to_do;
  for (std::size_t i = 0; i < units.size(); ++i) {
    units[i].unit = &request.units[i];
    to_do.push_back(&units[i]);
  }
  bool moved = false;
  const Deadline patience = std::min<Deadline>(deadline, runtime_.steady_now() + kFollowFor);
  for (int round = 0;; ++round) {
    if (auto done = co_await run_units(lane, to_do, deadline); !done) co_return pass(done);
    std::erase_if(to_do,
                  [](const Pending* unit) { return unit->redirect.kind == Redirect::Kind::none; });
    // The next round needs time for its pause and its answer; without one nobody knows the outcome.
    if (to_do.empty() || runtime_.steady_now() + 2 * kFollowPause >= patience) break;
    const auto any = [&to_do](Redirect::Kind kind) {
      return std::ranges::any_of(
          to_do, [kind](const Pending* unit) { return unit->redirect.kind == kind; });
    };
    moved = moved || any(Redirect::Kind::moved);
    // Two nodes that send us to one another will agree in a moment.
    if (any(Redirect::Kind::again) || round > 1) co_await runtime_.sleep(kFollowPause);
  }
  if (moved) in_doubt_ = true;  // other slots have moved, too, perhaps
  if (units.size() == 1) co_return std::move(units.front().replies);
  std::vector<Reply> replies;
  for (Pending& unit : units) {
    std::ranges::move(unit.replies, std::back_inserter(replies));
  }
  co_return replies;
}

Task<Result<void>> RedisRouter::run_units(Lane lane, std::vector<Pending*> units,
                                          Deadline deadline) {
  if (auto known = co_await know(deadline); !known) co_return known;
  std::map<NodePtr, Group> groups;
  for (Pending* unit : units) {
    NodePtr node = owner_of(unit->unit->slot);
    if (unit->redirect.kind == Redirect::Kind::ask) node = this->node(unit->redirect.to);
    if (!node) {
      in_doubt_ = true;
      co_return core::fail(
          Code::unavailable, Origin::buffer, Retry::safe,
          "no master of the cluster serves slot " + std::to_string(unit->unit->slot));
    }
    groups[node].push_back(unit);
  }
  if (groups.size() != 1) co_return co_await run_groups(lane, std::move(groups), deadline);
  auto& [only, group] = *groups.begin();
  co_return co_await run_group(only, lane, std::move(group), deadline);
}

// What others gave out must reach the reader, so a master that is gone has an error reply there.
void RedisRouter::mark_lost(const Group& group, const core::Error& error) {
  for (Pending* unit : group) {
    Reply lost;
    lost.type = Reply::Type::error;
    lost.text = "LOST " + error.detail;
    unit->replies.assign(unit->unit->commands.commands(), lost);
    unit->redirect = {};
  }
}

// All masters at a time; returns when the last has answered.
Task<Result<void>> RedisRouter::run_groups(Lane lane, std::map<NodePtr, Group> groups,
                                           Deadline deadline) {
  struct Join {
    std::size_t left;
    std::unique_ptr<core::Signal> one_less;
    Result<void> outcome;
  };
  Join join{groups.size(), runtime_.make_signal(), {}};
  for (auto& [node, group] : groups) {
    runtime_.spawn([](Task<Result<void>> task, Lane which, Group units, Join& all) -> Task<> {
      auto done = co_await std::move(task);
      if (!done && which == Lane::read) {
        mark_lost(units, done.error());
      } else if (!done) {
        all.outcome = std::move(done);
      }
      --all.left;
      all.one_less->notify_all();
    }(run_group(node, lane, group, deadline), lane, group, join));
  }
  while (join.left > 0) co_await join.one_less->wait(core::SteadyTime::max());
  co_return std::move(join.outcome);
}

Task<Result<void>> RedisRouter::run_group(NodePtr node, Lane lane, Group group, Deadline deadline) {
  const bool alone = group.size() == 1 && group.front()->redirect.kind != Redirect::Kind::ask;
  CommandBatch joined;
  if (!alone) {
    for (const Pending* unit : group) {
      if (unit->redirect.kind == Redirect::Kind::ask) joined.add({"ASKING"});
      joined.add(unit->unit->commands);
    }
  }
  auto replies =
      co_await call_node(node, lane, alone ? group.front()->unit->commands : joined, deadline);
  if (!replies) co_return pass(std::move(replies));
  auto next = std::make_move_iterator(replies->begin());
  for (Pending* unit : group) {
    if (unit->redirect.kind == Redirect::Kind::ask) ++next;
    const auto count = static_cast<std::ptrdiff_t>(unit->unit->commands.commands());
    unit->replies.assign(next, next + count);
    next += count;
    follow(*unit, *node);
  }
  co_return Result<void>{};
}

// Reads from a unit's replies where it must go instead. A transaction says it more than once: that
// it moved outweighs that it must wait, which outweighs that one of its keys is elsewhere.
void RedisRouter::follow(Pending& unit, const Node& asked) {
  unit.redirect = {};
  if (target_.kind != RedisTarget::Kind::cluster) return;
  for (const Reply& reply : unit.replies) {
    Redirect redirect = parse_redirect(reply, asked.endpoint);
    const auto rank = [](Redirect::Kind kind) {
      return kind == Redirect::Kind::moved   ? 3
             : kind == Redirect::Kind::again ? 2
             : kind == Redirect::Kind::ask   ? 1
                                             : 0;
    };
    if (rank(redirect.kind) > rank(unit.redirect.kind)) unit.redirect = std::move(redirect);
  }
  if (unit.redirect.kind != Redirect::Kind::moved) return;
  // The node that said so knows better than the picture; the next look may ask one that does not.
  const NodePtr there = node(unit.redirect.to);
  auto known = std::ranges::find(masters_, there);
  if (known == masters_.end()) known = masters_.insert(masters_.end(), there);
  if (!owners_.empty()) {
    owners_[unit.redirect.slot] = static_cast<std::uint16_t>(known - masters_.begin());
  }
}

}  // namespace daybook::storage
