// MessageDoor: POST /ingestMessage, the door of a reliable-messaging pipeline: one JSON document of
// metadata and payload, answered {"messageID": …} when the record is safe. Scripts of web pages may
// use it (CORS). ops/messages.md has the rules. I/O thread only.
#pragma once

#include "api/ingest.hpp"
#include "api/refused_documents.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

class MessageDoor {
 public:
  struct Services {
    core::Workers& workers;
    Ingest& ingest;
    RefusedDocuments& refused;
    Metrics& metrics;
  };
  MessageDoor(Services services, const core::Config& config)
      : services_(services), config_(config) {}

  // Any method: POST, the preflight's OPTIONS, and 405 for others.
  core::Task<> handle(io::HttpExchange& exchange);

 private:
  core::Task<io::HttpAnswer> accept(io::HttpExchange& exchange);
  [[nodiscard]] core::Result<void> judge_size(const core::http::RequestHead& head,
                                              bool coded) const;

  Services services_;
  const core::Config& config_;
};

// What is wrong with ingest.message_origins.
void check_message_settings(const core::Config& config, std::vector<std::string>& broken);

}  // namespace daybook::api
