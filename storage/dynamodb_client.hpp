// DynamodbClient: operations on one table of a DynamoDB service (AWS, ScyllaDB's Alternator, …):
// JSON 1.0 over HTTP, signed with Signature V4. I/O thread only.
//
// - An answer that says "not now" (throttled, failed inside) is repeated after a pause that
// doubles,
//   with jitter, until the deadline or eight times; every operation here may be repeated. The log
//   says so at most once a minute.
// - x-amz-crc32 must be the CRC-32 of the answer's body, where the service sends one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include <boost/json/object.hpp>

#include "core/result.hpp"
#include "core/task.hpp"
#include "io/http_client.hpp"
#include "io/runtime.hpp"
#include "storage/aws_signer.hpp"

namespace daybook::storage {

class DynamodbClient {
 public:
  struct Settings {
    std::string endpoint;  // http(s)://host[:port]; empty = AWS's of the region
    std::string region = "us-east-1";
    std::string table;
    std::shared_ptr<AwsSigner> signer;
    std::string ca_file;  // empty = the system's certificates
    std::size_t connections = 16;
  };

  struct Figures {
    std::uint64_t requests = 0;  // answered, repetitions included
    std::uint64_t not_now = 0;   // of these, answered with "not now"
  };

  // Checks the settings without touching the network. runtime must outlive the client.
  [[nodiscard]] static core::Result<std::unique_ptr<DynamodbClient>> open(Settings settings,
                                                                          io::IoRuntime& runtime);

  // "PutItem", with the request's members but TableName. Returns the answer's members.
  core::Task<core::Result<boost::json::object>> call(std::string operation,
                                                     boost::json::object request,
                                                     core::Deadline deadline);

  [[nodiscard]] const std::string& table() const { return settings_.table; }
  [[nodiscard]] std::size_t connections() const { return settings_.connections; }
  [[nodiscard]] const Figures& figures() const { return figures_; }
  [[nodiscard]] io::IoRuntime& runtime() { return runtime_; }
  [[nodiscard]] std::string describe() const;

 private:
  DynamodbClient(Settings settings, io::Url url, io::IoRuntime& runtime);
  void say_not_now(const core::Error& error);
  core::Task<core::Result<boost::json::object>> call_once(std::string operation, std::string body,
                                                          core::Deadline deadline, bool& not_now);

  const Settings settings_;
  const io::Url url_;
  io::IoRuntime& runtime_;
  std::unique_ptr<io::HttpClient> client_;
  std::minstd_rand random_{std::random_device{}()};
  Figures figures_;
  std::optional<core::SteadyTime> warned_;
};

}  // namespace daybook::storage
