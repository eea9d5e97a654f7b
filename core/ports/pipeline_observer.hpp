// Port: what the pipeline tells the world (metrics, logs). Core has neither. I/O thread only.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/record_id.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core {

class PipelineObserver {
 public:
  virtual ~PipelineObserver() = default;
  // stage is one of "transform", "archive", "index", "release".
  virtual void on_received(std::string_view stage) = 0;
  virtual void on_done(std::string_view stage, Duration took) = 0;
  virtual void on_failed(std::string_view stage, const RecordId& id, std::uint32_t attempt,
                         const Error& error) = 0;
  virtual void on_retry(std::string_view stage) = 0;
  virtual void on_parked(std::string_view stage, const RecordId& id, const Error& error) = 0;
  // The stage's target refuses every record (error), or takes them again (null).
  virtual void on_refused(std::string_view /*stage*/, const Error* /*error*/) {}
  // Something beside a record went wrong, for instance the buffer could not be read.
  virtual void on_trouble(std::string_view doing, const Error& error) = 0;
  virtual void on_claimed(std::size_t entries) = 0;
  // Entries that were in hand when a process died; they are tried one at a time.
  virtual void on_suspects(std::size_t /*entries*/) {}
};

}  // namespace daybook::core
