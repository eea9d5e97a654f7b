// Port: what is kept of each subscriber beside the buffer: how far it has been told, which of its
// deliveries are parked, whether it is paused, and which node delivers to it. Adapter:
// storage/redis_cursors.
// Contract (tests/contract/cursor_store_contract.hpp runs it on the adapter and on the fake):
// - At most one claimant has the lease. Each new holder gets a higher fence; whoever writes with an
//   older one is Code::conflict and changes nothing.
// - What a call that succeeded has written is as durable as the buffer.
// - Losing all of it costs repeated notices where subscribers begin with the first record, and
//   nothing else.
// Errors have origin buffer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/record_id.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::core {

struct FeedCursor {
  std::string feed;            // whose numbers these are (FeedBounds)
  std::uint64_t sequence = 0;  // everything up to it is done
  WallTime published_at{};     // when that entry was published, or earlier

  friend bool operator==(const FeedCursor&, const FeedCursor&) = default;
};

struct SubscriberPause {
  std::string reason;  // for people
  WallTime at{};

  friend bool operator==(const SubscriberPause&, const SubscriberPause&) = default;
};

// What is kept of one subscriber, as everybody may see it.
struct SubscriberRecord {
  std::optional<FeedCursor> cursor;  // nullopt: nothing was ever delivered, or it was lost
  std::optional<SubscriberPause> pause;
  std::uint64_t parked = 0;     // deliveries set aside
  std::uint64_t redriving = 0;  // of them, those that are to be tried again
  std::string holder;           // the node that delivers; empty: none
  // JSON, as the holder gave it with its last claim. Who is granted one gets what was there before.
  std::string report;
};

struct SubscriberClaim {
  bool granted = false;
  std::uint64_t fence = 0;  // when granted
  SubscriberRecord record;
};

struct SubscriberOwner {
  std::string node;
  std::string run;  // unlike that of any earlier process of this node
};

// A delivery that was set aside: one record, and the notices of it that are still due.
struct ParkedDelivery {
  std::uint64_t number = 0;  // Delivery::number
  RecordId id;
  std::vector<std::string> due;     // events, in order
  std::optional<WallTime> parking;  // of a parked record: which of its parkings
  std::string reason;               // for people
  std::uint32_t attempts = 0;
  WallTime parked_at{};
  bool redriving = false;

  // Names it among the parked deliveries of its subscriber.
  [[nodiscard]] std::string key() const;
  friend bool operator==(const ParkedDelivery&, const ParkedDelivery&) = default;
};

// A parked record that a subscriber has been told of.
struct ToldParking {
  RecordId id;
  WallTime parked_at{};

  friend auto operator<=>(const ToldParking&, const ToldParking&) = default;
};

class CursorStore {
 public:
  virtual ~CursorStore() = default;

  // Takes the lease where nobody has it or an earlier run of this node has, or renews it. Not
  // granted: another node has it. Either way what is kept comes along.
  virtual Task<Result<SubscriberClaim>> claim(std::string name, SubscriberOwner owner,
                                              Duration lease, std::string report,
                                              Deadline deadline) = 0;
  virtual Task<Result<void>> give_up(std::string name, SubscriberOwner owner,
                                     Deadline deadline) = 0;
  virtual Task<Result<SubscriberRecord>> look(std::string name, Deadline deadline) = 0;

  // --- the holder ---
  virtual Task<Result<void>> save(std::string name, std::uint64_t fence, FeedCursor cursor,
                                  Deadline deadline) = 0;
  // Parks it, again where its key is there already; it is no longer to be tried.
  virtual Task<Result<void>> park(std::string name, std::uint64_t fence, ParkedDelivery delivery,
                                  Deadline deadline) = 0;
  // It was delivered after all.
  virtual Task<Result<void>> unpark(std::string name, std::uint64_t fence, std::string key,
                                    Deadline deadline) = 0;
  virtual Task<Result<void>> tell(std::string name, std::uint64_t fence,
                                  std::vector<ToldParking> told, std::vector<ToldParking> forgotten,
                                  Deadline deadline) = 0;
  virtual Task<Result<std::vector<ToldParking>>> told(std::string name, Deadline deadline) = 0;
  // Those that are to be tried again, by number, at most max.
  virtual Task<Result<std::vector<ParkedDelivery>>> redrives(std::string name, std::size_t max,
                                                             Deadline deadline) = 0;

  // --- anybody ---
  virtual Task<Result<void>> pause(std::string name, SubscriberPause pause, Deadline deadline) = 0;
  virtual Task<Result<void>> resume(std::string name, Deadline deadline) = 0;
  // By number.
  virtual Task<Result<std::vector<ParkedDelivery>>> parked(std::string name, std::size_t max,
                                                           Deadline deadline) = 0;
  // Marks those of a record, or all; returns how many will be tried again.
  virtual Task<Result<std::uint64_t>> redrive(std::string name, std::optional<RecordId> id,
                                              Deadline deadline) = 0;
  // Gives up those of a record; returns how many.
  virtual Task<Result<std::uint64_t>> drop(std::string name, RecordId id, Deadline deadline) = 0;
};

}  // namespace daybook::core
