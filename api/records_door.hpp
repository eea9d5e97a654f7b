// RecordsDoor: POST /v1/records, one record whose payload is the body and whose attributes are
// header fields. I/O thread only.
#pragma once

#include "api/ingest.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

class RecordsDoor {
 public:
  RecordsDoor(io::IoRuntime& runtime, core::Workers& workers, Ingest& ingest, Metrics& metrics,
              const core::Config& config)
      : runtime_(runtime), workers_(workers), ingest_(ingest), metrics_(metrics), config_(config) {}

  core::Task<> handle(io::HttpExchange& exchange);

 private:
  core::Task<core::Result<io::HttpAnswer>> accept(io::HttpExchange& exchange, Upload& upload);

  io::IoRuntime& runtime_;
  core::Workers& workers_;
  Ingest& ingest_;
  Metrics& metrics_;
  const core::Config& config_;
};

}  // namespace daybook::api
