// What Redis must be set to so that an acknowledgement is true, as a pure function over what Redis
// answered. Each finding names the setting and the command that mends it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace daybook::storage {

struct RedisFacts {
  std::map<std::string, std::string> config;  // CONFIG GET
  std::map<std::string, std::string> info;    // INFO
};

// N of "replicated:N", 1 to 9; nullopt for any other text.
[[nodiscard]] std::optional<std::uint32_t> replicas_of(std::string_view durability);
// Redis must have fsynced before it answers.
[[nodiscard]] bool promises_fsync(std::string_view durability);

// durability: "fsync", "replicated:N" or "memory". record_bytes_max: the largest value that will be
// appended.
[[nodiscard]] core::Result<void> check_redis(const RedisFacts& facts, const std::string& durability,
                                             std::uint64_t record_bytes_max);

// "name:value" lines of INFO.
[[nodiscard]] std::map<std::string, std::string> parse_info(const std::string& text);

}  // namespace daybook::storage
