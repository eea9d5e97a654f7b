// RedisRouter: takes commands to the master that serves their keys, whichever server that is now.
//
// - One server: a fixed address. Sentinel: the master that the sentinels name and that says itself
//   that it is one. Cluster: the owner of the slot.
// - Where masters are is found out before the first call, after a lost connection, after an answer
//   that shows an old picture (MOVED, READONLY, CLUSTERDOWN), and whenever look() is called.
// - MOVED and ASK are followed; TRYAGAIN is waited for, shortly. A unit that is sent again has not
//   run: Redis refuses a command or a transaction as a whole. All other error replies are values.
// - A connection that breaks fails the call; with several units, others may have run. In the lane
//   read, and where other masters have answered, it is an error reply that begins with LOST.
// Each master has one pool per lane, so that one kind of use cannot starve another. I/O thread
// only.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/resp_connection.hpp"
#include "storage/redis_request.hpp"
#include "storage/redis_target.hpp"
#include "storage/redis_topology.hpp"

namespace daybook::storage {

class RedisRouter {
 public:
  enum class Lane : std::uint8_t { small, append, read };
  // How many connections each lane may have to each master.
  struct Connections {
    std::size_t small = 8;
    std::size_t append = 1;
    std::size_t read = 1;
  };
  using Replies = core::Result<std::vector<core::resp::Reply>>;

  RedisRouter(io::IoRuntime& runtime, RedisTarget target, Connections connections);

  // Replies in the order of the request's commands. The request must outlive the call.
  core::Task<Replies> call(Lane lane, const RedisRequest& request, core::Deadline deadline);
  // One batch to one master.
  core::Task<Replies> call_master(io::Endpoint master, core::resp::CommandBatch batch,
                                  core::Deadline deadline);
  // Finds out anew which servers are masters.
  core::Task<core::Result<void>> look(core::Deadline deadline);
  // As of the last look.
  [[nodiscard]] std::vector<io::Endpoint> masters() const;
  // Which of them serves the key; nullopt where none does.
  [[nodiscard]] std::optional<io::Endpoint> master_of(std::string_view key) const;
  // One batch to any server, over a connection of its own that ends with the call.
  core::Task<Replies> call_server(io::Endpoint endpoint, core::resp::CommandBatch batch,
                                  core::Deadline deadline);

  [[nodiscard]] RedisTarget::Kind kind() const { return target_.kind; }

 private:
  struct Node;
  struct Pending;
  using NodePtr = std::shared_ptr<Node>;
  using Group = std::vector<Pending*>;  // units of one node

  [[nodiscard]] NodePtr node(const io::Endpoint& endpoint);
  [[nodiscard]] NodePtr owner_of(std::uint16_t slot) const;
  [[nodiscard]] std::vector<io::Endpoint> nodes_to_ask() const;
  core::Task<core::Result<void>> know(core::Deadline deadline);
  core::Task<Replies> ask(io::Endpoint endpoint, bool as_sentinel, core::resp::CommandBatch batch,
                          core::Deadline deadline);
  core::Task<Replies> call_node(NodePtr node, Lane lane, const core::resp::CommandBatch& batch,
                                core::Deadline deadline);
  core::Task<core::Result<void>> run_units(Lane lane, std::vector<Pending*> units,
                                           core::Deadline deadline);
  core::Task<core::Result<void>> run_group(NodePtr node, Lane lane, Group group,
                                           core::Deadline deadline);
  core::Task<core::Result<void>> run_groups(Lane lane, std::map<NodePtr, Group> groups,
                                            core::Deadline deadline);
  void adopt(RedisTopology topology);
  static void mark_lost(const Group& group, const core::Error& error);
  void follow(Pending& unit, const Node& asked);

  io::IoRuntime& runtime_;
  RedisTarget target_;
  const Connections connections_;
  std::map<std::string, NodePtr> nodes_;  // by address: masters, and where ASK led us
  std::vector<NodePtr> masters_;
  std::vector<std::uint16_t> owners_;  // see RedisTopology
  std::map<std::string, std::unique_ptr<io::RespPool>> sentinels_;
  std::unique_ptr<core::Signal> looked_;
  core::Result<void> last_look_;
  std::string answered_last_;  // the node of the cluster to ask first
  bool looking_ = false;
  bool in_doubt_ = true;
};

}  // namespace daybook::storage
