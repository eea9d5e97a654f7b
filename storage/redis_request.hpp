// RedisRequest: commands for one or several masters, cut into units. A unit is one command or one
// transaction (with what must follow it on the same connection, such as WAIT): its keys share one
// slot, so that whichever master serves the slot can run all of it. Units may run in any order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/resp/command.hpp"

namespace daybook::storage {

constexpr std::uint32_t kRedisSlots = 16384;

// CRC16 of the key, or of what stands between its first '{' and the next '}' (Redis Cluster
// specification, "Hash tags").
[[nodiscard]] std::uint16_t redis_slot(std::string_view key);

struct RedisRequest {
  struct Unit {
    std::uint16_t slot = 0;
    core::resp::CommandBatch commands;
  };
  // Begins a unit on the slot of key; the reference is good until the next on().
  core::resp::CommandBatch& on(std::string_view key) {
    return units.emplace_back(redis_slot(key), core::resp::CommandBatch()).commands;
  }
  std::vector<Unit> units;
};

}  // namespace daybook::storage
