#include "storage/spool_replay.hpp"

#include <spdlog/spdlog.h>

#include "core/faults.hpp"

namespace daybook::storage {

using core::Code;
using core::Result;
using core::Task;

constexpr auto kPause = std::chrono::milliseconds(300);

SpoolReplay::SpoolReplay(core::Runtime& runtime, core::Workers& workers, Spool& spool,
                         core::WriteAheadBuffer& buffer, core::Duration append_timeout)
    : runtime_(runtime),
      workers_(workers),
      spool_(spool),
      buffer_(buffer),
      append_timeout_(append_timeout),
      stop_(runtime.make_signal()) {}

void SpoolReplay::close() {
  closing_ = true;
  stop_->notify_all();
}

Task<> SpoolReplay::run() {
  while (!closing_) {
    const auto where = spool_.oldest();
    if (where && buffer_.health()) {
      const auto done = co_await replay(*where);
      if (done && !spool_.oldest()) {
        spdlog::info("spool: empty again, {} records went to the buffer so far", replayed_);
      }
      if (done) continue;
      spdlog::warn("spool: record {} waits on: {}", where->id.str(), done.error().detail);
    }
    if (!closing_) co_await stop_->wait(runtime_.steady_now() + kPause);
  }
}

Task<Result<void>> SpoolReplay::replay(Spool::Spooled where) {
  const auto head = co_await spool_.read_head(where);
  if (!head && head.error().code != Code::damaged) co_return pass(head);
  if (!head) {
    co_await spool_.quarantine(where, head.error().detail);
    co_return Result<void>{};
  }
  auto stored = co_await spool_.read_stored(where, 0, where.stored_size);
  if (!stored && stored.error().code != Code::damaged) co_return pass(std::move(stored));
  Result<std::unique_ptr<core::SealedObject>> object;
  if (stored) {
    co_await workers_.run([&] { object = core::SealedObject::from_stored(std::move(*stored)); });
  }
  if (!object || *object == nullptr || (*object)->stored_sha256() != head->stored_sha256 ||
      (*object)->envelope().id != where.id) {
    co_await spool_.quarantine(where, "its bytes are not those that were acknowledged");
    co_return Result<void>{};
  }
  std::optional<core::IdempotencyKey> key;
  if (!head->key.empty()) key = {head->tenant, head->key};
  CRASH_POINT("before_replay");
  const auto deadline = [this] { return runtime_.steady_now() + append_timeout_; };
  auto appended = co_await buffer_.append(**object, head->receipt, key, deadline());
  if (!appended && appended.error().code == Code::in_flight) {
    // The key belongs to another record by now (this node could not ask while the buffer was away).
    // Both may have been acknowledged, so both are kept.
    ++contested_;
    spdlog::warn(
        "spool: record {} was acknowledged under the idempotency key of another record "
        "while Redis was away; both are kept",
        where.id.str());
    appended = co_await buffer_.append(**object, head->receipt, std::nullopt, deadline());
  }
  if (!appended) co_return pass(std::move(appended));
  CRASH_POINT("after_replay");
  ++replayed_;
  co_await spool_.settle(where.id);
  co_return Result<void>{};
}

}  // namespace daybook::storage
