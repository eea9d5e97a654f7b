#include "api/health.hpp"

#include <sys/statvfs.h>

#include <spdlog/spdlog.h>

#include "api/s3_settings.hpp"
#include "core/retry.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::Task;

constexpr auto kDiskInterval = std::chrono::seconds(1);
constexpr auto kFirstLook = std::chrono::milliseconds(100);  // the buffer is checked by then
constexpr auto kSayAgain = std::chrono::seconds(10);
constexpr int kProbeEvery = 10;  // disk looks
constexpr int kRefusedProbeEvery = 5;
constexpr auto kProbeTimeout = std::chrono::seconds(5);

Check make_check(const char* name, bool required, const Result<void>& state) {
  return {name, state.has_value(), required, state ? "" : state.error().detail};
}

// Says it once when a dependency goes and once when it is back.
void log_change(const char* name, const Result<void>& before, const Result<void>& after) {
  if (before.has_value() == after.has_value()) return;
  if (after) {
    spdlog::info("{} is in order again", name);
  } else {
    spdlog::warn("{}: {}", name, after.error().detail);
  }
}

}  // namespace

Health::Health(Services services, const core::Config& config)
    : services_(services), config_(config), stop_(services.runtime.make_signal()) {
  look_at_disk();
}

void Health::close() {
  closing_ = true;
  stop_->notify_all();
}

Task<> Health::run() {
  Result<void> buffer_before;
  core::SteadyTime say_again{};
  co_await stop_->wait(services_.runtime.steady_now() + kFirstLook);
  for (int round = 0; !closing_; ++round) {
    look_at_disk();
    if (round % probe_every() == 0) {
      const core::Deadline deadline = services_.runtime.steady_now() + kProbeTimeout;
      auto objects = co_await services_.objects.probe(deadline);
      log_change("object store", objects_, objects);
      objects_ = std::move(objects);
      auto metadata = co_await services_.metadata.probe(deadline);
      log_change("metadata store", metadata_, metadata);
      metadata_ = std::move(metadata);
    }
    if (services_.trail != nullptr && !services_.trail->health()) {
      log_change("trail", services_.trail->health(), co_await services_.trail->recover());
    }
    const Result<void> buffer = services_.buffer.health();
    log_change("buffer", buffer_before, buffer);
    // Why it is away may be known only later, or change; each reason once, but not each moment.
    if (!buffer && !buffer_before && buffer.error().detail != buffer_before.error().detail &&
        services_.runtime.steady_now() >= say_again) {
      spdlog::warn("buffer: {}", buffer.error().detail);
      say_again = services_.runtime.steady_now() + kSayAgain;
    }
    buffer_before = buffer;
    publish();
    if (!closing_) co_await stop_->wait(services_.runtime.steady_now() + kDiskInterval);
  }
}

// What is away is looked for at each round. What refuses us is asked less often than the pipeline
// asks it already.
int Health::probe_every() const {
  if (objects_ && metadata_) return kProbeEvery;
  const auto patient = [](const Result<void>& state) {
    return state || core::TargetGate::is_refusal(state.error());
  };
  return patient(objects_) && patient(metadata_) ? kRefusedProbeEvery : 1;
}

void Health::look_at_disk() {
  struct statvfs figures{};
  Result<void> now;
  if (statvfs(config_.node_data_dir.c_str(), &figures) != 0) {
    now = core::fail(core::Code::unavailable, core::Origin::self, core::Retry::safe,
                     "node.data_dir " + config_.node_data_dir + " cannot be looked at");
  } else {
    disk_free_ = static_cast<std::uint64_t>(figures.f_bavail) * figures.f_frsize;
    if (disk_free_ < config_.node_disk_reserve) {
      now = core::fail(core::Code::out_of_space, core::Origin::self, core::Retry::safe,
                       "The disk of node.data_dir has " + std::to_string(disk_free_ / core::MiB) +
                           " MiB free, less than the reserve of " +
                           core::format_size(config_.node_disk_reserve) +
                           " (node.disk_reserve). Free space or enlarge the disk.");
    }
  }
  log_change("disk", disk_, now);
  disk_ = std::move(now);
}

Result<void> Health::admission() const {
  if (!disk_) return disk_;
  if (services_.trail != nullptr && !services_.trail->health()) return services_.trail->health();
  return {};
}

bool Health::spool_stands_in() const {
  return services_.spool != nullptr && services_.spool->has_room() && services_.spool->health();
}

std::vector<Check> Health::checks() const {
  const Result<void> buffer = services_.buffer.health();
  const bool broken = !buffer && (buffer.error().code == core::Code::misconfigured ||
                                  buffer.error().code == core::Code::denied);
  std::vector<Check> all = {make_check("buffer", broken || !spool_stands_in(), buffer)};
  if (services_.trail != nullptr) {
    all.push_back(make_check("trail", true, services_.trail->health()));
  }
  if (services_.spool != nullptr) {
    all.push_back(make_check("spool", false, services_.spool->health()));
  }
  all.push_back(make_check("disk", true, disk_));
  // A store that cannot protect what it is given is no outage that passes: somebody has to act.
  const bool unprotected = !objects_ && objects_.error().code == core::Code::misconfigured &&
                           promises_protection(config_);
  all.push_back(make_check("object_store", unprotected, objects_));
  all.push_back(make_check("metadata", false, metadata_));
  return all;
}

bool Health::ready() const {
  for (const Check& check : checks()) {
    if (check.required && !check.ok) return false;
  }
  return !closing_;
}

void Health::publish() {
  Metrics& metrics = services_.metrics;
  for (const Check& check : checks()) {
    metrics.set(metrics.dependency_up, check.ok ? 1 : 0, {{"dependency", check.name}});
  }
  metrics.set(metrics.ready, ready() ? 1 : 0);
  metrics.set(metrics.disk_free_bytes, static_cast<double>(disk_free_));
}

}  // namespace daybook::api
