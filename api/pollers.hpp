// Pollers: every [[poller]] that is enabled, with what each needs, for a node that takes records.
// I/O thread only.
#pragma once

#include <memory>
#include <vector>

#include <boost/json/array.hpp>

#include "api/poll_source.hpp"
#include "api/poller.hpp"
#include "core/config.hpp"
#include "core/record_id.hpp"

namespace daybook::api {

class Pollers {
 public:
  struct Services {
    io::IoRuntime& runtime;
    core::Workers& workers;
    core::Workers& disk;
    core::PlaceStore& places;
    Depositor& depositor;
    Metrics& metrics;
  };
  Pollers(Services services, const core::Config& config, const std::string& node);

  void start();
  // Nothing new is fetched; what was fetched is finished.
  void close();
  core::Task<bool> drained(core::Deadline deadline);

  [[nodiscard]] boost::json::array status() const;
  void refresh_metrics();
  // Code::not_found: there is no such poller here; invalid_argument: the cursor does not fit it.
  core::Task<core::Result<void>> reset(std::string name, std::string cursor);

 private:
  struct One {
    PollSource source;
    Poller poller;
  };
  core::Task<> run(One& one);
  core::Task<core::Result<void>> set_aside(core::Envelope envelope, core::Bytes payload);

  Services services_;
  const core::Config& config_;
  core::RecordIdGenerator ids_;
  std::unique_ptr<core::Signal> ended_;
  std::size_t running_ = 0;
  std::vector<std::unique_ptr<One>> pollers_;
};

}  // namespace daybook::api
