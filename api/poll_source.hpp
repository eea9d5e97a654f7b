// PollSource: the HTTP side of a poller: one request to its source, with the headers that are set.
// I/O thread only.
#pragma once

#include "api/poller.hpp"
#include "core/config.hpp"
#include "io/http_client.hpp"
#include "io/runtime.hpp"

namespace daybook::api {

class PollSource {
 public:
  // config outlives it; its url is sound. disk: for the files of secrets.
  PollSource(io::IoRuntime& runtime, core::Workers& disk, const core::PollerConfig& config);

  // One answer, whatever its status. Errors: as HttpClient::send; denied: the source has a private
  // address; misconfigured: a secret's file cannot be read.
  core::Task<core::Result<PollAnswer>> fetch(PollRequest request);
  // Ends a request in progress.
  void close() { client_.close(); }

 private:
  io::IoRuntime& runtime_;
  core::Workers& disk_;
  const core::PollerConfig& config_;
  io::HttpClient client_;
};

// The values of header fields that are in files, as they are now. Code::misconfigured.
[[nodiscard]] core::Task<core::Result<core::http::Fields>> read_header_files(
    core::Workers& disk, std::map<std::string, core::SecretFile> files);

}  // namespace daybook::api
