// Ingest: POST /v1/records, from the request head to the acknowledgement.
//
//   head -> attributes -> health, budget, idempotency key -> body into blocks -> digest, frames
//        -> the ladder (buffer, spool, archive)  |  line in the trail  -> 201
//
// Everything that can be refused is refused before the body is read. Nothing is acknowledged before
// a rung of the ladder has answered; a request that fails leaves nothing but, at most, a stored
// record whose outcome the client was told is unknown. I/O thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "api/admission.hpp"
#include "api/ladder.hpp"
#include "api/metrics.hpp"
#include "core/block.hpp"
#include "core/budget.hpp"
#include "core/config.hpp"
#include "core/ports/workers.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "core/sealer.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

// How far a record may be asked to get before its answer (Prefer: durability=…, ?wait=…).
enum class Level { safe, archived, indexed };
[[nodiscard]] std::optional<Level> parse_level(std::string_view word);  // archived | indexed

// What a request's head says about its record.
struct IngestHead {
  core::Envelope envelope;  // attributes only
  std::optional<core::IdempotencyKey> key;
  std::optional<core::Sha256> expected;  // Content-Digest
  Level level = Level::safe;
};
// Pure; the error is the client's and names the header.
[[nodiscard]] core::Result<IngestHead> read_ingest_head(const core::http::RequestHead& head,
                                                        const core::Config& config);

class Ingest {
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

  core::Task<> handle(io::HttpExchange& exchange);

 private:
  struct Upload;  // one request on its way
  core::Task<core::Result<io::HttpAnswer>> accept(io::HttpExchange& exchange, Upload& upload);
  core::Task<core::Result<void>> admit(io::HttpExchange& exchange, Upload& upload);
  // The answer, where the request is a repetition that can be answered without a new record.
  core::Task<core::Result<std::optional<core::SettledRequest>>> reserve(Upload& upload);
  core::Task<core::Result<void>> receive(io::HttpExchange& exchange, Upload& upload,
                                         core::PayloadSealer& sealer);
  core::Task<core::Result<io::HttpAnswer>> store(Upload& upload,
                                                 core::PayloadSealer::Sealed sealed);
  // Turns the receipt into the answer, when the level that was asked for is reached.
  core::Task<core::Result<io::HttpAnswer>> acknowledge(int status, std::string receipt,
                                                       std::optional<core::RecordId> id,
                                                       const Upload& upload);
  core::Task<core::Result<io::HttpAnswer>> repeat(const core::SettledRequest& first,
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
