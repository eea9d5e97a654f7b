#include "api/pollers.hpp"

#include <algorithm>
#include <random>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/poller_settings.hpp"
#include "api/salvage.hpp"
#include "core/check.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"
#include "core/sealed_object.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::Task;

core::SealedObject seal(core::Envelope envelope, core::Bytes payload, int level) {
  envelope.size = payload.size();
  envelope.sha256 = core::sha256(payload);
  std::vector<core::ByteVector> frames;
  while (!payload.empty()) {
    const std::size_t bytes = std::min(payload.size(), core::limits::kBlockBytes);
    frames.push_back(core::compress_frame(payload.first(bytes), level));
    envelope.frames.push_back(static_cast<std::uint32_t>(frames.back().size()));
    payload = payload.subspan(bytes);
  }
  return {std::move(envelope), std::move(frames)};
}

}  // namespace

Pollers::Pollers(Services services, const core::Config& config, const std::string& node)
    : services_(services), config_(config), ended_(services.runtime.make_signal()) {
  std::random_device random;
  const core::PlaceHolder holder{node, std::to_string(random()) + std::to_string(random())};
  for (const core::PollerConfig& table : config.pollers) {
    if (!table.enabled) continue;
    auto rules = poll_rules(table, config.ingest_tenant);
    CHECK(rules.has_value());
    pollers_.push_back(std::unique_ptr<One>(
        new One{{services.runtime, services.disk, table},
                {Poller::Services{services.runtime, services.workers, services.places,
                                  services.depositor, services.metrics,
                                  // Set when the source has its place.
                                  [this, index = pollers_.size()](PollRequest request) {
                                    return pollers_[index]->source.fetch(std::move(request));
                                  },
                                  [this](core::Envelope envelope, core::Bytes payload) {
                                    return set_aside(std::move(envelope), payload);
                                  }},
                 *std::move(rules), holder, config.pipeline_lease, random()}}));
  }
}

void Pollers::start() {
  for (const auto& one : pollers_) {
    ++running_;
    services_.runtime.spawn(run(*one));
  }
}

Task<> Pollers::run(One& one) {
  co_await one.poller.run();
  --running_;
  ended_->notify_all();
}

void Pollers::close() {
  for (const auto& one : pollers_) {
    one->poller.close();
    one->source.close();
  }
}

Task<bool> Pollers::drained(core::Deadline deadline) {
  while (running_ > 0 && services_.runtime.steady_now() < deadline) {
    co_await ended_->wait(deadline);
  }
  co_return running_ == 0;
}

boost::json::array Pollers::status() const {
  boost::json::array all;
  for (const auto& one : pollers_) all.push_back(one->poller.status());
  for (const core::PollerConfig& table : config_.pollers) {
    if (!table.enabled) all.push_back({{"name", table.name}, {"state", "disabled"}});
  }
  return all;
}

void Pollers::refresh_metrics() {
  for (const auto& one : pollers_) one->poller.refresh_metrics();
}

Task<Result<void>> Pollers::reset(std::string name, std::string cursor) {
  const auto found =
      std::ranges::find_if(pollers_, [&](const auto& one) { return one->poller.name() == name; });
  if (found == pollers_.end()) {
    co_return core::fail(core::Code::not_found, core::Origin::client, core::Retry::never,
                         "There is no poller '" + name + "' that is enabled here.");
  }
  co_return co_await (*found)->poller.reset(std::move(cursor));
}

Task<Result<void>> Pollers::set_aside(core::Envelope envelope, core::Bytes payload) {
  envelope.id = ids_.next(services_.runtime.now(), 0);
  envelope.received_at = services_.runtime.now();
  envelope.durability = "none";
  Result<std::string> name;
  co_await services_.disk.run([&] {
    name = write_salvage(
        config_.node_data_dir,
        seal(std::move(envelope), payload, static_cast<int>(config_.ingest_compression_level)));
  });
  if (!name) co_return pass(std::move(name));
  services_.metrics.add(services_.metrics.records_salvaged, {});
  spdlog::warn("its bytes are in {}/{}", config_.node_data_dir, *name);
  co_return Result<void>{};
}

}  // namespace daybook::api
