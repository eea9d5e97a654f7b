// One real S3 service that is not Ceph (OpenStack Swift with s3api) for all cases of a test
// process: started by ops/servers/swift when the first case asks for it, stopped when the process
// ends.
#pragma once

#include "tests/contract/radosgw.hpp"

namespace daybook::tests {

class Swift {
 public:
  static constexpr const char* kBucket = "daybook";

  static Swift& instance() {
    static Swift server;
    return server;
  }

  // Empty when it runs.
  [[nodiscard]] const std::string& skip_reason() const { return skip_reason_; }
  // ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION
  [[nodiscard]] const std::map<std::string, std::string>& values() const { return values_; }

 private:
  Swift() {
    if (!output_of(script() + " check 2>/dev/null")) {
      skip_reason_ = "swift is not installed; see " + script() + " --help";
      return;
    }
    const auto output = output_of(script() + " start --data " + data() + " --bucket " + kBucket);
    if (!output) {
      std::fprintf(stderr, "swift is installed but did not start\n");
      std::abort();
    }
    values_ = values_of(*output);
  }
  ~Swift() {
    if (skip_reason_.empty()) output_of(script() + " stop --data " + data());
  }
  static std::string script() { return std::string(DAYBOOK_SOURCE_DIR) + "/ops/servers/swift"; }
  [[nodiscard]] std::string data() const { return folder_.path() / "swift"; }

  TemporaryFolder folder_;
  std::string skip_reason_;
  std::map<std::string, std::string> values_;
};

}  // namespace daybook::tests
