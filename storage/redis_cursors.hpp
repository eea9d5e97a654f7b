// RedisCursors: what is kept of the subscribers, in the buffer's Redis. All of one subscriber is
// under one hash tag, {<prefix>:subscriber:<name>}, and every step is one script:
// - :lease    string "node run", expires with the lease
// - :state    hash fence; feed, cursor, published_at (us); pause_reason, pause_at (us); report
// - :parked   hash key -> JSON of a parked delivery
// - :order    sorted set of those keys by number; :redrive likewise, those to be tried again
// - :told     set of <id>_<us>: parked records that were told of
// Cursors that are saved at the same moment go in one pipeline, for which Redis syncs its file
// once. Writes of one subscriber reach a replica in their order, so a failover takes back the
// newest of them and leaves no cursor that stands beyond a parked delivery it lost. I/O thread
// only.
#pragma once

#include <string>

#include "core/group_commit.hpp"
#include "core/ports/cursor_store.hpp"
#include "storage/redis_router.hpp"

namespace daybook::storage {

class RedisCursors final : public core::CursorStore {
 public:
  RedisCursors(io::IoRuntime& runtime, RedisTarget server, std::string prefix);

  core::Task<core::Result<core::SubscriberClaim>> claim(std::string name,
                                                        core::SubscriberOwner owner,
                                                        core::Duration lease, std::string report,
                                                        core::Deadline deadline) override;
  core::Task<core::Result<void>> give_up(std::string name, core::SubscriberOwner owner,
                                         core::Deadline deadline) override;
  core::Task<core::Result<core::SubscriberRecord>> look(std::string name,
                                                        core::Deadline deadline) override;
  core::Task<core::Result<void>> save(std::string name, std::uint64_t fence,
                                      core::FeedCursor cursor, core::Deadline deadline) override;
  core::Task<core::Result<void>> park(std::string name, std::uint64_t fence,
                                      core::ParkedDelivery delivery,
                                      core::Deadline deadline) override;
  core::Task<core::Result<void>> unpark(std::string name, std::uint64_t fence, std::string key,
                                        core::Deadline deadline) override;
  core::Task<core::Result<void>> tell(std::string name, std::uint64_t fence,
                                      std::vector<core::ToldParking> told,
                                      std::vector<core::ToldParking> forgotten,
                                      core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::ToldParking>>> told(std::string name,
                                                                core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::ParkedDelivery>>> redrives(
      std::string name, std::size_t max, core::Deadline deadline) override;
  core::Task<core::Result<void>> pause(std::string name, core::SubscriberPause pause,
                                       core::Deadline deadline) override;
  core::Task<core::Result<void>> resume(std::string name, core::Deadline deadline) override;
  core::Task<core::Result<std::vector<core::ParkedDelivery>>> parked(
      std::string name, std::size_t max, core::Deadline deadline) override;
  core::Task<core::Result<std::uint64_t>> redrive(std::string name,
                                                  std::optional<core::RecordId> id,
                                                  core::Deadline deadline) override;
  core::Task<core::Result<std::uint64_t>> drop(std::string name, core::RecordId id,
                                               core::Deadline deadline) override;

 private:
  using Words = std::vector<std::string>;
  struct Saving {
    std::string state;  // the key
    Words arguments;
    core::Deadline deadline;
    core::Result<void>* outcome;  // of this one, when all were answered
  };
  [[nodiscard]] std::string key(const std::string& name, std::string_view rest) const;
  // One script on keys of one subscriber; an error reply becomes an Error.
  core::Task<core::Result<core::resp::Reply>> run(std::string_view script, Words keys,
                                                  Words arguments, core::Deadline deadline);
  core::Task<RedisRouter::Replies> send(const RedisRequest& request, core::Deadline deadline);
  core::Task<core::Result<void>> save_all(std::vector<Saving> all);
  // The same for a holder's write, which says 0 to a fence that is old.
  core::Task<core::Result<void>> write(std::string_view script, Words keys, Words arguments,
                                       core::Deadline deadline);
  core::Task<core::Result<std::vector<core::ParkedDelivery>>> list(std::string name,
                                                                   std::string_view order,
                                                                   std::size_t max,
                                                                   core::Deadline deadline);

  const std::string prefix_;
  RedisRouter router_;
  core::GroupCommit<Saving> saves_;
};

}  // namespace daybook::storage
