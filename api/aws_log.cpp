#include "api/aws_log.hpp"

#include <spdlog/spdlog.h>

#include "core/text.hpp"

namespace daybook::api {

AwsEvents log_aws(Metrics& metrics, std::string service) {
  for (const char* outcome : {"renewed", "failed"}) {
    metrics.add(metrics.aws_renewals, {{"service", service}, {"outcome", outcome}}, 0);
  }
  metrics.set(metrics.aws_clock_offset, 0, {{"service", service}});
  metrics.set(metrics.aws_expiry, 0, {{"service", service}});
  AwsEvents events;
  events.credentials.on_renewed = [&metrics, service](const storage::AwsKeys& keys) {
    metrics.add(metrics.aws_renewals, {{"service", service}, {"outcome", "renewed"}});
    const auto expires =
        keys.expires ? keys.expires->time_since_epoch() : core::WallTime::duration();
    metrics.set(metrics.aws_expiry, std::chrono::duration<double>(expires).count(),
                {{"service", service}});
    spdlog::info("{}: credentials from {}, {}", service, keys.source,
                 keys.expires ? "valid until " + core::format_time(*keys.expires)
                              : std::string("without expiration"));
  };
  events.credentials.on_failed = [&metrics, service](const core::Error& error, bool news) {
    metrics.add(metrics.aws_renewals, {{"service", service}, {"outcome", "failed"}});
    if (news) spdlog::warn("{}: {}", service, error.detail);
  };
  events.on_clock_offset = [&metrics, service](core::Duration offset) {
    const double seconds = std::chrono::duration<double>(offset).count();
    metrics.set(metrics.aws_clock_offset, seconds, {{"service", service}});
    spdlog::warn(
        "{}: the store's clock is {:+.0f} s from this machine's; requests are signed with the "
        "store's time. Set this machine's clock (timedatectl set-ntp true)",
        service, seconds);
  };
  return events;
}

}  // namespace daybook::api
