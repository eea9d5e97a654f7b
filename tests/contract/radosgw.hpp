// One real S3 service (Ceph's radosgw) for all cases of a test process: started by
// ops/servers/radosgw on free loopback ports with its data in a temporary folder when the first
// case asks for it, stopped when the process ends.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "tests/contract/temporary_folder.hpp"

namespace daybook::tests {

// The standard output of a shell command; nothing when it fails.
inline std::optional<std::string> output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string output;
  char part[4096];
  for (std::size_t bytes = 0; (bytes = std::fread(part, 1, sizeof part, pipe)) > 0;) {
    output.append(part, bytes);
  }
  if (::pclose(pipe) != 0) return std::nullopt;
  return output;
}

// KEY=VALUE lines
inline std::map<std::string, std::string> values_of(const std::string& lines) {
  std::map<std::string, std::string> values;
  std::size_t start = 0;
  for (std::size_t end = 0; (end = lines.find('\n', start)) != std::string::npos; start = end + 1) {
    const std::string line = lines.substr(start, end - start);
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return values;
}

// Runs Python's boto3 with `s3` as its client; its output, or nothing when it failed. It shares no
// code with ours. A failing program says why on standard error.
inline std::optional<std::string> run_boto3(const std::map<std::string, std::string>& server,
                                            const std::string& program) {
  const std::string head =
      "import boto3, datetime, os\n"
      "from botocore.config import Config\n"
      "from botocore.exceptions import ClientError\n"
      "os.environ.pop(\"AWS_CA_BUNDLE\", None)\n"
      "s3 = boto3.client(\"s3\", endpoint_url=\"" +
      server.at("ENDPOINT") + "\", aws_access_key_id=\"" + server.at("ACCESS_KEY") +
      "\", aws_secret_access_key=\"" + server.at("SECRET_KEY") +
      "\", region_name=\"us-east-1\", config=Config(s3={\"addressing_style\": \"path\"}))\n";
  return output_of("/usr/bin/python3 - <<'PROGRAM'\n" + head + program + "\nPROGRAM\n");
}
inline bool has_boto3() {
  return output_of("/usr/bin/python3 -c 'import boto3' 2>/dev/null").has_value();
}

class Radosgw {
 public:
  static constexpr const char* kBucket = "daybook";
  static constexpr const char* kDnsName = "s3.daybook.test";

  static Radosgw& instance() {
    static Radosgw server;
    return server;
  }

  // Empty when it runs.
  [[nodiscard]] const std::string& skip_reason() const { return skip_reason_; }
  // ENDPOINT, TLS_ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION, CA_FILE
  [[nodiscard]] const std::string& value(const std::string& name) const { return values_.at(name); }
  [[nodiscard]] const std::map<std::string, std::string>& values() const { return values_; }
  [[nodiscard]] std::string script() const {
    return std::string(DAYBOOK_SOURCE_DIR) + "/ops/servers/radosgw";
  }

 private:
  Radosgw() {
    if (!output_of(script() + " check 2>/dev/null")) {
      skip_reason_ = "radosgw is not installed; see " + script() + " --help";
      return;
    }
    const auto output = output_of(script() + " start --tls --data " + data() + " --bucket " +
                                  kBucket + " --dns-name " + kDnsName);
    if (!output) {
      std::fprintf(stderr, "radosgw is installed but did not start\n");
      std::abort();
    }
    values_ = values_of(*output);
  }
  ~Radosgw() {
    if (skip_reason_.empty()) output_of(script() + " stop --data " + data());
  }
  [[nodiscard]] std::string data() const { return folder_.path() / "ceph"; }

  TemporaryFolder folder_;
  std::string skip_reason_;
  std::map<std::string, std::string> values_;
};

}  // namespace daybook::tests
