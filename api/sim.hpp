// `daybook sim`: the partners at the ends of the four routes, for demonstrations and tests.
//
//   source-process  --POST /messages-->  daybook  --webhook-->                  target-endpoint
//   source-endpoint <--GET /messages---  daybook  <--GET /messages?timestamp--  target-process
//
// Messages are {"id", "timestamp", "message"} with ids 1, 2, 3, …, so that a loss shows; those of
// a source of somebody else may begin with 0. Each
// partner waits for the other one: either may start first. Each answers GET / with OK and GET
// /report with its figures (a target with the order of arrival, too), and prints them at its end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/units.hpp"

namespace daybook::api {

enum class SimKind { source_endpoint, source_process, target_endpoint, target_process };

struct SimOptions {
  SimKind kind = SimKind::source_process;
  std::string endpoint;    // of the processes: the URL that they ask or post to
  std::string method;      // of the processes' requests
  std::uint16_t port = 0;  // 0 = any free one for endpoints, none for processes
  std::string source;  // ce-source of what is pushed, the filter of what is pulled; empty = none
  std::uint64_t batch_size = 10;
  core::Duration frequency = std::chrono::seconds(1);
  std::uint64_t count = 0;         // messages of a source, after which it sends no more; 0 = no end
  std::string log_level = "info";  // as spdlog calls it
};

// As they were typed; empty = not given.
struct SimTexts {
  SimKind kind = SimKind::source_process;
  std::string endpoint, method, port, batch_size, frequency, log_level, source;
  std::uint64_t count = 0;
};

// "1s", "250ms", or a bare number of milliseconds, as the original's FREQUENCY; not above 0 is
// nullopt.
[[nodiscard]] std::optional<core::Duration> parse_frequency(const std::string& text);
// spdlog's name of a level of the original's logger (winston) or of spdlog itself; nullopt: there
// is no such level.
[[nodiscard]] std::optional<std::string> parse_log_level(const std::string& text);

// Runs until SIGTERM, a source process until all its messages are taken. The exit code.
[[nodiscard]] int run_sim(const SimOptions& options);

}  // namespace daybook::api
