// RetryPolicy: how long to wait before the next attempt. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/units.hpp"

namespace daybook::core {

struct RetryPolicy {
  std::uint32_t attempts_max = 6;
  Duration first = std::chrono::seconds(2);
  Duration longest = std::chrono::minutes(1);

  // The wait after attempt number `attempt` (1, 2, …): doubling, with "equal jitter": half of it is
  // fixed, half of it random, so that many records that failed together do not return together.
  [[nodiscard]] Duration wait_after(std::uint32_t attempt, double random_0_to_1) const {
    Duration full = first;
    for (std::uint32_t i = 1; i < attempt && full < longest; ++i) full *= 2;
    full = std::min(full, longest);
    return full / 2 + std::chrono::duration_cast<Duration>(full / 2 * random_0_to_1);
  }
};

}  // namespace daybook::core
