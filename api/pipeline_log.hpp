// PipelineLog: the pipeline's events as metrics and log lines.
#pragma once

#include <functional>
#include <string>

#include "api/metrics.hpp"
#include "core/ports/pipeline_observer.hpp"

namespace daybook::api {

class PipelineLog final : public core::PipelineObserver {
 public:
  explicit PipelineLog(Metrics& metrics);

  std::function<void()> when_indexed;  // called for each record; may be empty

  void on_received(std::string_view stage) override;
  void on_done(std::string_view stage, core::Duration took) override;
  void on_failed(std::string_view stage, const core::RecordId& id, std::uint32_t attempt,
                 const core::Error& error) override;
  void on_retry(std::string_view stage) override;
  void on_parked(std::string_view stage, const core::RecordId& id,
                 const core::Error& error) override;
  void on_refused(std::string_view stage, const core::Error* error) override;
  void on_trouble(std::string_view doing, const core::Error& error) override;
  void on_claimed(std::size_t entries) override;
  void on_suspects(std::size_t entries) override;

 private:
  Metrics& metrics_;
  std::string last_failure_;  // the same of thousands of records is one line
};

}  // namespace daybook::api
