#include "storage/postgres_pool.hpp"

#include <algorithm>
#include <utility>

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

// Between two attempts in vain.
constexpr core::Duration kPauseFirst = std::chrono::seconds(1);
constexpr core::Duration kPauseLongest = std::chrono::seconds(5);
constexpr core::Duration kConnectTimeout = std::chrono::seconds(10);

// Firewalls forget connections that are silent for long.
constexpr core::Duration kKeptLongest = std::chrono::seconds(60);

}  // namespace

// One of the places; given back, with its connection if that is still good, whatever happens.
class PostgresPool::Lease {
 public:
  explicit Lease(PostgresPool& pool) : pool_(pool) {}
  ~Lease() {
    if (!taken) return;
    --pool_.in_use_;
    if (connection && !connection->broken() && generation == pool_.generation_) {
      pool_.kept_.push_back({std::move(connection), pool_.runtime_.steady_now()});
    }
    pool_.changed_->notify_all();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  void take() {
    taken = true;
    ++pool_.in_use_;
    generation = pool_.generation_;
  }

  std::unique_ptr<PostgresConnection> connection;
  std::uint64_t generation = 0;
  bool taken = false;
  bool was_kept = false;

 private:
  PostgresPool& pool_;
};

PostgresPool::PostgresPool(io::IoRuntime& runtime, PostgresSettings settings, Prepare prepare)
    : runtime_(runtime),
      settings_(std::move(settings)),
      prepare_(std::move(prepare)),
      changed_(runtime.make_signal()) {}

void PostgresPool::drop_kept() {
  ++generation_;
  kept_.clear();
}

void PostgresPool::note_failure(const core::Error& error) {
  well_ = false;
  last_error_ = error;
  const core::Duration pause = kPauseFirst * (1U << std::min(failures_, 8U));
  not_before_ = runtime_.steady_now() + std::min(pause, kPauseLongest);
  ++failures_;
}

Task<Result<PostgresResults>> PostgresPool::exchange(PostgresStatements statements,
                                                     PostgresPipeline pipeline, Deadline deadline) {
  bool sent_before = false;
  for (;;) {
    Lease lease(*this);
    if (auto filled = co_await fill(lease, deadline); !filled) {
      if (sent_before) filled.error().retry = Retry::unknown_outcome;
      co_return pass(std::move(filled));
    }
    auto results = co_await lease.connection->exchange(statements, pipeline, deadline);
    if (results) co_return results;
    // The others may be as dead, or as silent.
    drop_kept();
    if (results.error().code == Code::closed) well_ = false;
    const bool again = lease.was_kept && !sent_before && results.error().code == Code::closed;
    if (!again) co_return results;
    sent_before = true;
  }
}

// A kept connection, or a new one as soon as there is a place for it.
Task<Result<void>> PostgresPool::fill(Lease& lease, Deadline deadline) {
  for (;;) {
    const core::SteadyTime now = runtime_.steady_now();
    if (now >= deadline) {
      co_return core::fail(Code::timeout, Origin::metadata, Retry::safe,
                           "No connection to PostgreSQL became free before the deadline; raise "
                           "metadata.postgresql_connections.");
    }
    std::erase_if(kept_, [&](const Kept& kept) { return now - kept.since > kKeptLongest; });
    if (!kept_.empty()) {
      lease.take();
      lease.was_kept = true;
      lease.connection = std::move(kept_.back().connection);
      kept_.pop_back();
      co_return Result<void>{};
    }
    if (in_use_ < settings_.connections && (well_ || !trying_)) {
      if (!well_ && now < not_before_) co_return core::Failure(last_error_);
      lease.take();
      co_return co_await make(lease, deadline);
    }
    co_await changed_->wait(deadline);
  }
}

Task<Result<void>> PostgresPool::make(Lease& lease, Deadline deadline) {
  const bool trial = !well_;
  if (trial) trying_ = true;
  const Deadline end = std::min(deadline, runtime_.steady_now() + kConnectTimeout);
  auto opened = co_await PostgresConnection::open(runtime_, settings_, end);
  Result<void> outcome;
  if (!opened) {
    outcome = pass(opened);
  } else {
    outcome = co_await prepare_(**opened, end);
  }
  if (trial) trying_ = false;
  if (outcome) {
    well_ = true;
    failures_ = 0;
    lease.connection = std::move(*opened);
  } else {
    // Nothing of the caller's was sent.
    outcome.error().retry = Retry::safe;
    note_failure(outcome.error());
  }
  changed_->notify_all();
  co_return outcome;
}

}  // namespace daybook::storage
