#include "api/pipeline_log.hpp"

#include <utility>

#include <spdlog/spdlog.h>

namespace daybook::api {
namespace {

prometheus::Labels stage_label(std::string_view stage) {
  return {{"stage", std::string(stage)}};
}

}  // namespace

// Every stage shows its counters from the start, at 0: an alert must not wait for the first
// failure.
PipelineLog::PipelineLog(Metrics& metrics) : metrics_(metrics) {
  for (const char* stage : {"archive", "index", "release"}) {
    for (auto* family : {&metrics.stage_received, &metrics.stage_done, &metrics.stage_retried,
                         &metrics.stage_parked}) {
      metrics.add(*family, stage_label(stage), 0);
    }
    metrics.add(metrics.stage_failed, {{"stage", stage}, {"reason", "unavailable"}}, 0);
    metrics.set(metrics.stage_refused, 0, stage_label(stage));
  }
}

void PipelineLog::on_received(std::string_view stage) {
  metrics_.add(metrics_.stage_received, stage_label(stage));
}

void PipelineLog::on_done(std::string_view stage, core::Duration took) {
  metrics_.add(metrics_.stage_done, stage_label(stage));
  metrics_.observe(metrics_.stage_seconds, stage_label(stage), took);
  if (stage == "index" && when_indexed) when_indexed();
}

void PipelineLog::on_failed(std::string_view stage, const core::RecordId& id, std::uint32_t attempt,
                            const core::Error& error) {
  metrics_.add(metrics_.stage_failed, {{"stage", std::string(stage)},
                                       {"reason", std::string(core::to_string(error.code))}});
  // Records that share a segment fail together.
  const std::string failure = std::to_string(attempt) + error.detail;
  const bool again = std::exchange(last_failure_, failure) == failure;
  spdlog::log(again ? spdlog::level::debug : spdlog::level::warn, "{} of record {}, attempt {}: {}",
              stage, id.str(), attempt, error.detail);
}

void PipelineLog::on_retry(std::string_view stage) {
  metrics_.add(metrics_.stage_retried, stage_label(stage));
}

void PipelineLog::on_parked(std::string_view stage, const core::RecordId& id,
                            const core::Error& error) {
  metrics_.add(metrics_.stage_parked, stage_label(stage));
  spdlog::error("record {} is parked by {}: {}. See: daybook parked", id.str(), stage,
                error.detail);
}

void PipelineLog::on_refused(std::string_view stage, const core::Error* error) {
  metrics_.set(metrics_.stage_refused, error != nullptr ? 1 : 0, stage_label(stage));
  if (error != nullptr) {
    spdlog::error(
        "{}: every record is refused; they wait in the buffer, and one of them tries at "
        "times: {}",
        stage, error->detail);
  } else {
    spdlog::info("{}: records are taken again", stage);
  }
}

void PipelineLog::on_trouble(std::string_view doing, const core::Error& error) {
  spdlog::warn("{}: {}", doing, error.detail);
}

void PipelineLog::on_claimed(std::size_t entries) {
  spdlog::info("took over {} entries of an owner that fell silent", entries);
}

void PipelineLog::on_suspects(std::size_t entries) {
  spdlog::warn(
      "{} entries were in hand when a process died; they are tried one at a time, beside new ones",
      entries);
}

}  // namespace daybook::api
