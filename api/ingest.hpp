// Ingest: the way of one record, from whatever brings it to the acknowledgement.
//
//   attributes -> health, budget, idempotency key -> payload into blocks -> digest, frames
//        -> the ladder (buffer, spool, archive)  |  line in the trail  -> receipt
//
// Everything that can be refused is refused before the payload is read. Nothing is acknowledged
// before a rung of the ladder has answered; a record that fails leaves nothing but, at most, a
// stored record whose outcome the client was told is unknown. The doors (records_door.hpp and its
// neighbours) know HTTP, Ingest does not. I/O thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "api/admission.hpp"
#include "api/depositor.hpp"
#include "api/ingest_head.hpp"
#include "api/ladder.hpp"
#include "api/metrics.hpp"
#include "api/record_source.hpp"
#include "core/block.hpp"
#include "core/config.hpp"
#include "core/ports/workers.hpp"
#include "core/sealer.hpp"
#include "io/runtime.hpp"

namespace daybook::api {

// One record on its way. A local of whoever brings it, for as long as that takes.
struct Upload {
  // Said by the door.
  core::Envelope envelope;  // tenant, attributes, content type and context; the rest is made here
  std::optional<core::IdempotencyKey> key;
  std::optional<core::Sha256> expected;  // of the payload
  Level level = Level::safe;
  std::string peer;                     // whose share of memory it takes
  std::function<void()> on_identified;  // called when the record has its id; may be empty

  // Made by Ingest.
  std::optional<core::SettledRequest> first;  // this is a repetition
  std::optional<core::Envelope> unsettled;    // and its first request may have been stored
  bool reserved = false;
  // The key as this node holds it while the request is in flight.
  std::shared_ptr<void> held_key;
  Admission::Ticket ticket;
  core::SteadyTime began;
  core::SteadyTime last_byte;
  core::SteadyTime append_began;
  core::SteadyTime acknowledged;
  std::uint32_t retry_after_s = 0;  // of a refusal; 0 = none
};

class Ingest final : public Depositor {
 public:
  struct Services {
    io::IoRuntime& runtime;
    core::Workers& workers;
    core::WriteAheadBuffer& buffer;
    Ladder& ladder;
    Metrics& metrics;
    core::Budget& memory;
    // False when the record did not get that far in time.
    std::function<core::Task<bool>(core::RecordId, Level, core::Deadline)> wait_for;
    // Why records are refused right now, beside the buffer's health (disk reserve, trail).
    std::function<core::Result<void>()> admission;
  };
  Ingest(Services services, const core::Config& config);

  struct Taken {
    bool first = true;                 // false: its key was known, and this is the first receipt
    std::optional<core::RecordId> id;  // none where a receipt out of the buffer is unreadable
    std::string receipt;               // JSON
  };
  // When it succeeds the record is safe, at the level that was asked for. A refusal has been
  // counted, and logged where it is ours.
  core::Task<core::Result<Taken>> take(Upload& upload, RecordSource& source);

  // The same where the record is known only when its payload has come.
  core::Task<core::Result<Taken>> take_late(Upload& upload, LateSource& source);

  // For another pass over a payload that was sealed.
  [[nodiscard]] core::PayloadSealer make_sealer(int level) {
    return {services_.runtime, services_.workers, blocks_, lines_, level};
  }
  // A block for what comes before a payload is one.
  [[nodiscard]] std::shared_ptr<std::byte> take_block() { return blocks_.take(); }

  core::Task<core::Result<Deposited>> deposit(Deposit deposit) override;

  // Records that are stored in one step or not at all; together no larger than one may be. Their
  // own keys, levels and peers do not count. The receipts are in the order of the records.
  struct Together {
    std::vector<Deposit> deposits;
    std::optional<core::IdempotencyKey> key;  // of all of them
    core::Sha256 digest;                      // of the request that brought them
    std::string peer;
  };
  core::Task<core::Result<std::vector<Deposited>>> deposit_together(Together together);

 private:
  core::Task<core::Result<Taken>> accept(Upload& upload, RecordSource& source);
  core::Task<core::Result<Taken>> accept_late(Upload& upload, LateSource& source);
  core::Task<core::Result<std::vector<Deposited>>> accept_together(const Together& together,
                                                                   Upload& upload);
  using Objects = std::vector<std::shared_ptr<const core::SealedObject>>;
  core::Task<core::Result<Objects>> seal_together(const Together& together, Upload& upload);
  // What a refusal leaves to be done: its key, the log, the metrics.
  core::Task<> refuse(Upload& upload, core::Error error);
  // What is known of a record when its payload is.
  void complete(core::Envelope& envelope, const core::PayloadSealer::Sealed& sealed) const;
  core::Task<core::Result<void>> admit(Upload& upload, RecordSource& source);
  // Gives the record its partition and id, and reserves its key.
  core::Task<core::Result<void>> identify(Upload& upload);
  // The answer, where the request is a repetition that can be answered without a new record.
  core::Task<core::Result<std::optional<core::SettledRequest>>> reserve(Upload& upload);
  core::Task<core::Result<void>> receive(Upload& upload, RecordSource& source,
                                         core::PayloadSealer& sealer);
  core::Task<core::Result<Taken>> store(Upload& upload, core::PayloadSealer::Sealed sealed);
  // The receipt when the level that was asked for is reached.
  core::Task<core::Result<Taken>> acknowledge(Taken taken, const Upload& upload);
  core::Task<core::Result<Taken>> repeat(const core::SettledRequest& first,
                                         const core::Sha256& digest, const Upload& upload);
  void observe(const Upload& upload, const core::PayloadSealer::Sealed& sealed);

  Services services_;
  const core::Config& config_;
  Admission admission_;
  core::BlockPool blocks_;
  core::HashLines lines_;
  core::RecordIdGenerator ids_;
  std::set<std::string> keys_in_flight_;  // of this node, whatever the buffer's state
};

}  // namespace daybook::api
