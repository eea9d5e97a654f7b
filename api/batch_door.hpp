// BatchDoor: POST /v1/records:batch and POST /messages, many records in one body.
//
//   JSON array, NDJSON or multipart/mixed -> elements while the body arrives -> one record each
//
// Records get their ids in the order of the elements, and the answer has one result per element in
// that order. An element that is refused does not stop the others; a body that breaks off keeps
// what stood before. With ?atomic=true all are stored in one step or none is. I/O thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/ingest.hpp"
#include "api/request_body.hpp"
#include "core/batch_reader.hpp"
#include "core/budget.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

class BatchDoor {
 public:
  BatchDoor(io::IoRuntime& runtime, core::Workers& workers, Ingest& ingest, Metrics& metrics,
            const core::Config& config);

  // route: the label of the metrics, and the door that the records' context names.
  core::Task<> handle(io::HttpExchange& exchange, std::string route, std::string door);

 private:
  struct Batch;
  core::Task<core::Result<io::HttpAnswer>> accept(io::HttpExchange& exchange, std::string door);
  [[nodiscard]] core::Result<std::shared_ptr<Batch>> begin(const io::HttpExchange& exchange,
                                                           std::string_view door) const;
  // Elements until the body ends; the error is the body's.
  core::Task<core::Result<void>> read(RequestBody& body, std::shared_ptr<Batch> batch);
  void start(const std::shared_ptr<Batch>& batch, core::BatchElement element);
  core::Task<> take(std::shared_ptr<Batch> batch, std::size_t index, core::BatchElement element);
  // atomic=true: everything is read, then stored.
  core::Task<core::Result<io::HttpAnswer>> accept_whole(RequestBody& body,
                                                        std::shared_ptr<Batch> batch);
  core::Task<core::Result<std::vector<core::BatchElement>>> read_whole(
      RequestBody& body, std::shared_ptr<Batch> batch);
  [[nodiscard]] core::Result<Deposit> deposit_of(const Batch& batch, std::size_t index,
                                                 const core::BatchElement& element) const;

  io::IoRuntime& runtime_;
  core::Workers& workers_;
  Ingest& ingest_;
  Metrics& metrics_;
  const core::Config& config_;
  core::Budget memory_;  // for elements that are not complete yet
};

// All bodies of batches together, beside ingest.memory_max.
[[nodiscard]] std::uint64_t batch_memory_max(const core::Config& config);

}  // namespace daybook::api
