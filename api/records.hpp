// Records: reading back. A record is found from the moment of its acknowledgement on: first its row
// in the metadata store, else its entry in the buffer or in this node's spool. I/O thread only.
#pragma once

#include <optional>
#include <string>

#include "api/ingest_head.hpp"
#include "core/budget.hpp"
#include "core/http/fields.hpp"
#include "core/pipeline/pipeline.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "io/http_server.hpp"
#include "storage/spool.hpp"

namespace daybook::api {

class Records {
 public:
  struct Services {
    core::Runtime& runtime;
    core::Workers& workers;
    core::WriteAheadBuffer& buffer;
    core::ObjectStore& objects;
    core::MetadataStore& metadata;
    core::Budget& memory;
    storage::Spool* spool;                     // null where this process takes no records
    const core::pipeline::Pipeline* pipeline;  // null where this process has none
  };
  explicit Records(Services services) : services_(services) {}

  // Each answers the exchange and returns the status for the metrics.
  core::Task<int> show(io::HttpExchange& exchange, std::string id);
  core::Task<int> payload(io::HttpExchange& exchange, std::string id);
  core::Task<int> list(io::HttpExchange& exchange);
  core::Task<int> parked(io::HttpExchange& exchange);
  core::Task<int> show_parked(io::HttpExchange& exchange, std::string id);
  core::Task<int> replay(io::HttpExchange& exchange);
  // Throws one parked record away; wants a reason, and keeps it.
  core::Task<int> drop(io::HttpExchange& exchange);

  // The locks of the stored object; its legal hold set or released (?status=on|off).
  core::Task<int> show_hold(io::HttpExchange& exchange, std::string id);
  core::Task<int> change_hold(io::HttpExchange& exchange, std::string id);

  // Waits until the record is archived or indexed. False when it is not by then.
  core::Task<bool> wait_for(core::RecordId id, Level level, core::Deadline deadline);

 private:
  // Where a record's bytes are and what is known of it.
  struct Found {
    core::MetadataRow row;  // of a buffered record: what is known so far
    bool indexed = false;
    bool parked = false;
    bool spooled = false;
    bool archived = false;  // this process's pipeline had its object when the look began
    std::optional<core::DroppedRecord> dropped;  // then row holds the id only
  };
  core::Task<core::Result<Found>> find(std::string id);
  core::Task<core::Result<std::optional<Found>>> find_spooled(core::RecordId id);
  core::Task<core::Result<void>> long_poll(const core::http::RequestHead& head,
                                           const std::string& id);
  // The row of a record that has an object; in_flight where it has none yet.
  core::Task<core::Result<core::MetadataRow>> stored_row(std::string id);
  core::Task<core::Result<core::DroppedRecord>> account_for(core::RecordId id);
  [[nodiscard]] bool has_object(const core::RecordId& id) const;
  [[nodiscard]] std::string state_of(const Found& found) const;
  core::Task<core::Result<core::ByteVector>> read_stored(const Found& found, std::uint64_t offset,
                                                         std::uint64_t length);
  core::Task<int> send_payload(io::HttpExchange& exchange, Found found,
                               core::http::RangeOutcome range);
  [[nodiscard]] core::Deadline deadline() const;

  Services services_;
};

}  // namespace daybook::api
