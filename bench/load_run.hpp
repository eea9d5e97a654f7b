// LoadRun: posts records over C connections and measures how long each acknowledgement takes.
//
// Closed loop (rate 0): each connection sends its next record when the last one is answered;
// latency runs from the first byte sent. Open loop: record n is due at n / rate; latency and
// timeout run from when it was due, and what is due within the duration is sent, even late, so that
// a stalled server is charged for every record that it kept waiting. Every receipt is checked
// against the payload's digest and size, except where the target is raw. I/O thread only; the
// payloads must outlive the run.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/payload_source.hpp"
#include "bench/percentiles.hpp"
#include "io/http_client.hpp"
#include "io/runtime.hpp"

namespace daybook::bench {

// For a server that is not Daybook: the bodies go to any target, and any 2xx is an acknowledgement.
// What such a server stored is for the caller to check.
struct RawTarget {
  std::string method;
  std::vector<std::string> targets;  // taken in turn; never empty
};

struct LoadOptions {
  io::HttpClient::Settings client;
  std::string base_path;  // before /v1/records and /metrics, and before raw targets
  std::optional<RawTarget> raw;
  std::size_t connections = 8;
  std::uint64_t records = 0;                  // 0: until the duration has passed
  std::chrono::milliseconds duration{0};      // 0: until all records are sent
  double rate = 0;                            // records a second; 0: closed loop
  std::chrono::milliseconds timeout{60'000};  // of one record
  bool idempotency_keys = false;
  std::string run_name;  // unique for each run; part of the idempotency keys
  bool end_to_end = false;
  bool progress = false;  // redraw a line on standard error
};

// From the first byte sent until the last record of this run had left the buffer.
struct EndToEnd {
  double seconds = 0;
  double drain_seconds = 0;  // the part of it after the last acknowledgement
  std::uint64_t parked = 0;  // records parked meanwhile; these are not archived
  bool complete = false;     // false: the pipeline had not finished when we gave up
};

struct LoadReport {
  Percentiles ack;
  std::uint64_t records = 0;  // acknowledged, with a right receipt
  std::uint64_t bytes = 0;    // of their payloads
  double seconds = 0;
  std::map<std::string, std::uint64_t> errors;  // "503 overloaded", "timeout", "wrong receipt"
  std::string first_error;
  std::optional<EndToEnd> end_to_end;

  [[nodiscard]] double mb_per_s() const {
    return seconds > 0 ? static_cast<double>(bytes) / 1e6 / seconds : 0;
  }
  [[nodiscard]] double records_per_s() const {
    return seconds > 0 ? static_cast<double>(records) / seconds : 0;
  }
  [[nodiscard]] std::uint64_t error_count() const;
};

class LoadRun {
 public:
  LoadRun(io::IoRuntime& runtime, const PayloadSource& payloads, LoadOptions options);

  core::Task<> run();               // once
  void stop() { stopped_ = true; }  // no more records; those in flight are finished
  [[nodiscard]] const LoadReport& report() const { return report_; }

 private:
  struct Figures {
    double accepted = 0, pending = 0, parked = 0;
  };

  core::Task<> lane();
  core::Task<> send_one(std::uint64_t number, core::SteadyTime due);
  [[nodiscard]] io::HttpRequest make_request(const Payload& payload, std::uint64_t number) const;
  // Counts an error unless the answer acknowledges this payload.
  bool accept(const io::HttpResponse& response, const Payload& payload);
  core::Task<> show_progress();
  core::Task<> wait_for_pipeline(Figures before);
  core::Task<core::Result<Figures>> read_figures();
  [[nodiscard]] core::SteadyTime due_time(std::uint64_t number) const;
  [[nodiscard]] bool finished(std::uint64_t number) const;
  void count_error(const std::string& cause, const std::string& detail);

  io::IoRuntime& runtime_;
  const PayloadSource& payloads_;
  const LoadOptions options_;
  io::HttpClient client_;
  std::unique_ptr<core::Signal> changed_;
  LoadReport report_;
  core::SteadyTime began_{};
  std::uint64_t next_ = 0;
  std::size_t lanes_ = 0;
  bool stopped_ = false;
  bool drawing_ = false;
};

}  // namespace daybook::bench
