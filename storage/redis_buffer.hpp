// RedisBuffer: the write-ahead buffer in Redis Streams (keys and scripts: redis_scripts.hpp).
//
// - append sends SET + script in one MULTI/EXEC; with `appendfsync always` Redis answers after its
//   fsync, so the answer is the acknowledgement's foundation. A broken connection is tried again
//   with the same id until the deadline: the script makes that harmless.
// - At replicated:N a WAIT follows on the same connection, and a WAITAOF where the servers have it;
//   fewer than N is an unknown outcome: the record is stored, but the level that was asked for is
//   not claimed.
// - Where masters are is the router's business. Each of them is checked at start, after every lost
//   connection and every check interval. While one does not hold, health() says why and append
//   refuses; partitions are not told apart there.
// - A pipeline's consumer is named after the node, so a restarted node finds its own entries.
// I/O thread only; owned by main; run() must be spawned and ends after close().
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/drain_rate.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "storage/redis_checks.hpp"
#include "storage/redis_router.hpp"

namespace daybook::storage {

struct RedisBufferSettings {
  RedisTarget server;
  std::string prefix = "daybook";
  std::uint32_t partitions = 4;
  std::string durability = "fsync";
  std::string node;  // this node's consumer name
  std::string run;   // unlike that of any earlier process of this node
  std::size_t append_connections = 16;
  // How long an append waits for a connection that was lost; then the caller has another way.
  core::Duration reconnect_grace = std::chrono::seconds(10);
  core::Duration check_interval{};
  core::Duration replica_timeout{};  // at durability replicated:N
  core::Duration idempotency_window{};
  core::Duration reservation_lease{};
  std::uint64_t record_bytes_max = 0;
  std::uint64_t memory_reserve = 0;  // of maxmemory, at most a quarter of it
};

class RedisBuffer final : public core::WriteAheadBuffer {
 public:
  RedisBuffer(io::IoRuntime& runtime, RedisBufferSettings settings);

  core::Task<> run();  // checks Redis again and again
  void close();        // run() and waiting reads end soon
  [[nodiscard]] const core::BufferStats& last_stats() const { return stats_; }
  // How often Redis was found to be another one than before, or to know less: it was restarted,
  // a replica took its place, or it was emptied. Records may be gone then.
  [[nodiscard]] std::uint64_t times_replaced() const { return times_replaced_; }
  // The servers behind the buffer as of the last check.
  struct Server {
    std::string address;
    std::uint64_t memory_used = 0;
    std::uint64_t memory_max = 0;  // 0 = no limit set
  };
  [[nodiscard]] const std::vector<Server>& servers() const { return servers_; }
  // At replicated:N, the command that asks for the replicas' confirmation; else "".
  [[nodiscard]] std::string_view replicas_confirm_with() const;
  // What the servers' settings endanger without breaking the promise; as of the last check.
  [[nodiscard]] const std::vector<RedisAdvice>& advice() const { return advice_; }

  [[nodiscard]] core::Result<void> health() const override { return health_; }
  core::Task<core::Result<void>> ready(core::Deadline deadline) override;
  [[nodiscard]] std::uint64_t missing_room(std::uint64_t bytes) const override;
  [[nodiscard]] double drain_per_second() const override;
  [[nodiscard]] std::uint32_t partition_of(const std::optional<core::IdempotencyKey>& key) override;

  core::Task<core::Result<core::Reservation>> reserve(core::IdempotencyKey key, core::RecordId id,
                                                      core::Deadline deadline) override;
  core::Task<> abandon(core::IdempotencyKey key, core::RecordId id) override;
  core::Task<core::Result<core::Appended>> append(const core::SealedObject& object,
                                                  std::string receipt_head,
                                                  std::optional<core::IdempotencyKey> key,
                                                  core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::Appended>>> append_all(
      std::vector<core::AppendItem> items, std::optional<core::IdempotencyKey> key,
      core::Sha256 digest, core::Deadline deadline) override;

  core::Task<core::Result<std::vector<core::BufferEntry>>> read(std::size_t max,
                                                                core::Duration wait) override;
  core::Task<core::Result<std::vector<core::BufferEntry>>> read_own_pending(
      core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::BufferEntry>>> claim(core::Duration lease,
                                                                 std::size_t max,
                                                                 core::Deadline deadline) override;
  core::Task<core::Result<std::vector<std::uint32_t>>> starts(
      std::vector<core::BufferEntry> entries, core::Deadline deadline) override;
  core::Task<core::Result<void>> note_starts(std::vector<core::StartCount> counts,
                                             core::Deadline deadline) override;
  core::Task<core::Result<void>> renew(std::vector<core::BufferEntry> entries,
                                       core::Deadline deadline) override;
  core::Task<core::Result<std::string>> load(core::RecordId id, core::Deadline deadline) override;
  core::Task<core::Result<void>> release(std::vector<core::BufferEntry> entries,
                                         core::Deadline deadline) override;
  core::Task<core::Result<void>> park(core::ParkedRecord record, core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::ParkedRecord>>> parked(
      core::Deadline deadline) override;
  core::Task<core::Result<std::size_t>> unpark(std::vector<core::RecordId> ids,
                                               core::Deadline deadline) override;
  core::Task<core::Result<std::optional<core::ParkedRecord>>> find_parked(
      core::RecordId id, core::Deadline deadline) override;
  core::Task<core::Result<bool>> drop(core::DroppedRecord record, core::Deadline deadline) override;
  core::Task<core::Result<std::optional<core::DroppedRecord>>> dropped(
      core::RecordId id, core::Deadline deadline) override;

  core::Task<core::Result<std::optional<core::BufferedHead>>> find(
      core::RecordId id, core::Deadline deadline) override;
  core::Task<core::Result<core::ByteVector>> read_range(core::RecordId id, std::uint64_t offset,
                                                        std::uint64_t length,
                                                        core::Deadline deadline) override;
  core::Task<core::Result<core::BufferStats>> stats(core::Deadline deadline) override;

 private:
  using Replies = RedisRouter::Replies;
  using Lane = RedisRouter::Lane;

  [[nodiscard]] std::string key(std::uint32_t partition, std::string_view rest) const;
  [[nodiscard]] std::string record_key(const core::RecordId& id) const;
  [[nodiscard]] std::string idempotency_key(const core::IdempotencyKey& key) const;

  // The first error reply becomes an Error.
  core::Task<Replies> call(RedisRequest request, core::Deadline deadline);
  core::Task<core::Result<std::vector<core::BufferEntry>>> read_once(std::size_t max,
                                                                     core::Duration wait);
  core::Task<core::Result<void>> check(core::Deadline deadline);
  core::Task<core::Result<void>> check_master(io::Endpoint master, core::Deadline deadline);
  core::Task<core::Result<void>> check_access(io::Endpoint master, core::Deadline deadline);
  core::Task<core::Result<void>> look_at_replicas(io::Endpoint master, RedisFacts facts,
                                                  core::Deadline deadline);
  void note_runs();
  void note_memory();
  void note_advice();
  core::Task<core::Result<void>> check_partitions(core::Deadline deadline);
  core::Task<core::Result<void>> make_groups(core::Deadline deadline);
  // What one append is: its records, and the request that they answer.
  struct Append {
    std::vector<core::AppendItem> items;
    std::optional<core::IdempotencyKey> key;
    core::Sha256 digest;
    bool together = false;  // the first answer to the key is an array
  };
  core::Task<core::Result<std::vector<core::Appended>>> append(Append what,
                                                               core::Deadline deadline);
  core::Task<Replies> append_once(const Append& what, core::Deadline deadline);
  // exec: the reply to the EXEC of append_once().
  [[nodiscard]] static core::Result<std::vector<core::Appended>> read_append(
      const Append& what, const core::resp::Reply& exec);
  // What WAIT is told, at most until the deadline; and what to say when it counts too few.
  [[nodiscard]] std::string replica_wait_ms(core::Deadline deadline) const;
  void add_wait(core::resp::CommandBatch& batch, core::Deadline deadline) const;
  [[nodiscard]] core::Result<void> enough_replicas(const core::resp::Reply& counted) const;
  core::Task<core::Result<void>> confirm_replicas(std::uint32_t partition, core::Deadline deadline);
  // Remembers a failure that puts every promise in doubt and has Redis checked at once.
  void note(const core::Error& failure);

  io::IoRuntime& runtime_;
  RedisBufferSettings settings_;
  const std::uint32_t replicas_;  // N of replicated:N, else 0
  RedisRouter router_;
  std::unique_ptr<core::Signal> check_now_;
  std::unique_ptr<core::Signal> checked_;
  std::unique_ptr<core::Signal> appended_;
  core::Result<void> health_;
  core::SteadyTime away_since_{};  // when health_ was good last
  core::BufferStats stats_;
  std::vector<Server> servers_;
  Server fullest_;  // the one with the least room below its limit; no limit: there is none
  std::vector<RedisAdvice> advice_;
  struct Seen {
    std::vector<Server> servers;
    std::map<std::string, std::string> runs;  // run_id by address
    std::vector<RedisAdvice> advice;
    bool all_have_waitaof = true;
  };
  Seen seen_;                                // by the check under way
  std::set<std::string> advised_;            // subjects that the log has had
  std::vector<std::string> partition_runs_;  // of its master; empty until the first check
  struct Replicas {
    std::string names;
    core::Result<void> sound;
    std::vector<RedisAdvice> advice;
  };
  std::map<std::string, Replicas> replicas_of_;  // by master, as they were looked at last
  bool wait_for_fsync_ = false;                  // appends wait for the replicas' fsync, too
  std::uint64_t times_replaced_ = 0;
  std::uint64_t appends_ = 0;  // of this process
  // Stored bytes this process has appended and released since memory_used was read.
  std::uint64_t appended_since_check_ = 0;
  std::uint64_t released_since_check_ = 0;
  core::DrainRate drained_;
  std::uint32_t next_partition_ = 0;
  bool recheck_ = true;
  bool closing_ = false;
};

// One vendor answer -> one Error.
[[nodiscard]] core::Error classify(const core::resp::Reply& reply);

}  // namespace daybook::storage
