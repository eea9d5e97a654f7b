// Which servers are masters at present, and which slots each serves; asked of sentinels or of a
// cluster's nodes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/resp/command.hpp"
#include "core/resp/reply.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "storage/redis_target.hpp"

namespace daybook::storage {

struct RedisTopology {
  static constexpr std::uint16_t kNobody = 0xFFFF;
  std::vector<io::Endpoint> masters;
  // By slot: an index into masters, or kNobody. Empty: the first master serves every key.
  std::vector<std::uint16_t> owners;
};

// Sends a batch to a server (or, with as_sentinel, to a sentinel) and returns its replies.
using AskRedis = std::function<core::Task<core::Result<std::vector<core::resp::Reply>>>(
    io::Endpoint, bool as_sentinel, core::resp::CommandBatch)>;

// The addresses are tried in turn until one gives a usable answer; that one moves to the front. The
// error says what each of them said.
[[nodiscard]] core::Task<core::Result<RedisTopology>> ask_sentinels(
    std::vector<io::Endpoint>& sentinels, std::string master_name, AskRedis ask);
[[nodiscard]] core::Task<core::Result<RedisTopology>> ask_cluster(std::vector<io::Endpoint>& nodes,
                                                                  AskRedis ask);

// The reply to CLUSTER SLOTS of the node at `asked`; nullopt where it is none.
[[nodiscard]] std::optional<RedisTopology> parse_cluster_slots(const core::resp::Reply& reply,
                                                               const io::Endpoint& asked);

// "MOVED 3999 127.0.0.1:6381" and its kin: what an error reply says about where to go.
struct Redirect {
  enum class Kind {
    none,
    moved,  // the slot lives at `to`
    ask,    // this key may live at `to` already: ask there, once, after ASKING
    again,  // keys of one command are on both sides of a migration for the moment
  };
  Kind kind = Kind::none;
  std::uint16_t slot = 0;
  io::Endpoint to;
};
[[nodiscard]] Redirect parse_redirect(const core::resp::Reply& reply, const io::Endpoint& asked);

}  // namespace daybook::storage
