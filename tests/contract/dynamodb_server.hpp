// One real DynamoDB service for all cases of a test process: started by ops/servers/dynamodb on a
// free loopback port when the first case asks for it, stopped when the process ends.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "io/runtime.hpp"
#include "storage/dynamodb_client.hpp"
#include "tests/contract/radosgw.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::tests {

class DynamodbServer {
 public:
  static DynamodbServer& dynalite() {
    static DynamodbServer server("dynalite");
    return server;
  }
  static DynamodbServer& moto() {
    static DynamodbServer server("moto");
    return server;
  }

  // Empty when it runs.
  [[nodiscard]] const std::string& skip_reason() const { return skip_reason_; }
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

  // A client of a table that no case has used before.
  std::unique_ptr<storage::DynamodbClient> fresh_client(io::IoRuntime& runtime) {
    return client(runtime, "daybook-" + std::to_string(++tables_));
  }
  [[nodiscard]] std::unique_ptr<storage::DynamodbClient> client(io::IoRuntime& runtime,
                                                                const std::string& table) const {
    storage::DynamodbClient::Settings settings;
    settings.endpoint = endpoint_;
    settings.table = table;
    settings.signer = std::make_shared<storage::AwsSigner>(
        runtime, storage::AwsCredentials::fixed(runtime, {"key", "secret", ""}));
    return storage::DynamodbClient::open(std::move(settings), runtime).value();
  }

 private:
  explicit DynamodbServer(const std::string& kind) {
    if (!output_of(script() + " check " + kind + " 2>/dev/null")) {
      skip_reason_ = kind + " is not to be had; see " + script() + " --help";
      return;
    }
    const auto output = output_of(script() + " start " + kind + " --data " + data());
    const std::string name = "ENDPOINT=";
    if (!output || !output->starts_with(name)) {
      std::fprintf(stderr, "%s is installed but did not start\n", kind.c_str());
      std::abort();
    }
    endpoint_ = output->substr(name.size(), output->find('\n') - name.size());
  }
  ~DynamodbServer() {
    if (skip_reason_.empty()) output_of(script() + " stop --data " + data());
  }
  [[nodiscard]] static std::string script() {
    return std::string(DAYBOOK_SOURCE_DIR) + "/ops/servers/dynamodb";
  }
  [[nodiscard]] std::string data() const { return folder_.path() / "dynamodb"; }

  TemporaryFolder folder_;
  std::string skip_reason_;
  std::string endpoint_;
  int tables_ = 0;
};

}  // namespace daybook::tests
