// `daybook doctor`: probes the machine and everything the configuration points at, and says what to
// do about each finding. It changes nothing but for a temporary file it
// removes again, and the probe's objects in an S3 archive.
#pragma once

#include <string>
#include <vector>

#include "api/config_loader.hpp"
#include "storage/redis_checks.hpp"

namespace daybook::api {

enum class Verdict { ok, warn, fail };

struct Finding {
  Verdict verdict = Verdict::ok;
  std::string subject;  // "redis appendfsync"
  std::string detail;   // what was found
  std::string mend;     // a command or a sentence; empty where nothing is to be done
};
using Findings = std::vector<Finding>;

// Collects findings; `mend` is dropped where the verdict is ok.
class Doctor {
 public:
  explicit Doctor(const core::Config& config) : config_(config) {}

  void examine();  // all of the below, in order
  void examine_machine();
  void examine_redis();         // cli_doctor_redis.cpp
  void examine_data_dir();      // cli_doctor_stores.cpp
  void examine_object_store();  // cli_doctor_stores.cpp
  void examine_metadata();      // cli_doctor_stores.cpp
  void examine_s3();            // cli_doctor_s3.cpp
  void examine_sqlite();        // cli_doctor_sqlite.cpp
  void examine_postgresql();    // cli_doctor_postgres.cpp
  void examine_dynamodb();      // cli_doctor_dynamodb.cpp
  void examine_subscribers();   // cli_doctor_subscribers.cpp
  void examine_listen_address();

  [[nodiscard]] const Findings& findings() const { return findings_; }

 private:
  void note(Verdict verdict, std::string subject, std::string detail, std::string mend = {});
  // name: "redis", or one of several with its address.
  void examine_redis_settings(const storage::RedisFacts& facts, const std::string& name,
                              const std::string& redis_cli);
  void examine_file_limit();
  void examine_memory();
  void examine_clock();
  void examine_writable_folder(const std::string& subject, const std::string& folder);

  const core::Config& config_;
  Findings findings_;
};

[[nodiscard]] std::string render_findings(const Findings& findings);
[[nodiscard]] std::string findings_json(const Findings& findings);

// kExitFailed where anything failed.
[[nodiscard]] int run_doctor(const ConfigSources& sources, bool json);

}  // namespace daybook::api
