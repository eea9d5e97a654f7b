// Figures: what /metrics, /v1/status and `daybook status` say of a server at one moment. I/O thread
// only.
#pragma once

#include <cstdint>
#include <string>

#include "api/health.hpp"
#include "api/metrics.hpp"
#include "api/node.hpp"
#include "api/pollers.hpp"
#include "api/reconciler.hpp"
#include "api/subscribers.hpp"
#include "core/budget.hpp"
#include "core/config.hpp"
#include "core/pipeline/pipeline.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/runtime.hpp"
#include "storage/redis_buffer.hpp"
#include "storage/spool.hpp"
#include "storage/spool_replay.hpp"

namespace daybook::api {

// A figure of Redis that begins again when Redis is emptied; the counter made of it goes on, so
// that accepted - released - pending - parked of the counters shows what was lost then.
class LastingTotal {
 public:
  std::uint64_t of_all(std::uint64_t now) {
    if (now < last_) before_ += last_;
    last_ = now;
    return before_ + now;
  }

 private:
  std::uint64_t before_ = 0;
  std::uint64_t last_ = 0;
};

class Figures {
 public:
  // All outlive it; null where the role has none.
  struct Services {
    core::Runtime& runtime;
    storage::RedisBuffer& buffer;
    core::ObjectStore& objects;
    core::MetadataStore& metadata;
    core::Budget& memory;  // of payloads
    Health& health;
    Subscribers& subscribers;
    Metrics& metrics;
    storage::Spool* spool;
    storage::SpoolReplay* spool_replay;
    core::pipeline::Pipeline* pipeline;
    Reconciler* reconciler;
    Pollers* pollers;
  };
  Figures(Services services, const core::Config& config, Role role, std::string node);

  // Puts them into the metrics, those of the buffer as it last answered.
  void refresh(std::size_t connections, std::uint64_t connections_ended);
  // The document of GET /v1/status.
  [[nodiscard]] std::string status() const;

 private:
  void refresh_buffer();
  void refresh_spool();
  [[nodiscard]] core::Duration since(std::optional<core::WallTime> time) const;

  Services services_;
  const core::Config& config_;
  const Role role_;
  const std::string node_;
  const core::SteadyTime started_;
  const core::WallTime started_at_;
  LastingTotal accepted_;
  LastingTotal released_;
};

}  // namespace daybook::api
