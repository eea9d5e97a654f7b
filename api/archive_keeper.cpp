#include "api/archive_keeper.hpp"

#include <spdlog/spdlog.h>

namespace daybook::api {
namespace {

constexpr auto kInterval = std::chrono::hours(24);
constexpr auto kAfterFailure = std::chrono::minutes(5);
constexpr auto kTime = std::chrono::minutes(2);

}  // namespace

ArchiveKeeper::ArchiveKeeper(core::Runtime& runtime, core::ObjectStore& objects)
    : runtime_(runtime), objects_(objects), stop_(runtime.make_signal()) {}

void ArchiveKeeper::close() {
  closing_ = true;
  stop_->notify_all();
}

core::Task<> ArchiveKeeper::run() {
  bool told = false;
  while (!closing_) {
    const auto removed = co_await objects_.clean_up(runtime_.steady_now() + kTime);
    if (removed && *removed > 0) {
      spdlog::info("object store: {} multipart uploads that were never completed were aborted",
                   *removed);
    }
    // That the store is away is health's to tell; that it refuses this is told once.
    if (!removed && removed.error().retry == core::Retry::never && !told) {
      spdlog::warn("object store: multipart uploads of dead writers cannot be looked for: {}",
                   removed.error().detail);
      told = true;
    }
    const core::Duration wait = removed ? core::Duration(kInterval) : core::Duration(kAfterFailure);
    if (!closing_) co_await stop_->wait(runtime_.steady_now() + wait);
  }
}

}  // namespace daybook::api
