// HttpTransformer: an HTTP service that gets a record's attributes and answers with those that take
// their place. I/O thread only.
//
//   POST {"source": "…", "type": "…", "user": "…"}  ->  200 {"source": "…", "type": "…"}
//
// Daybook-Record-Id and Daybook-Tenant say whose they are. 204 leaves them as they are. Any other
// answer of the 4xx is about this record; everything else is tried again. A service that has failed
// several times in a row is asked once a second, so that records that need it hold up no others.
#pragma once

#include "core/config.hpp"
#include "core/ports/workers.hpp"
#include "core/transform/transform.hpp"
#include "io/http_client.hpp"
#include "io/runtime.hpp"

namespace daybook::api {

class HttpTransformer final : public core::transform::Transformer {
 public:
  // config outlives it; its URL is sound.
  HttpTransformer(io::IoRuntime& runtime, core::Workers& disk,
                  const core::TransformStepConfig& config);

  core::Task<core::Result<std::optional<std::string>>> call(std::string attributes,
                                                            core::RecordId id,
                                                            std::string tenant) override;

 private:
  using Answer = std::optional<std::string>;
  core::Task<core::Result<Answer>> ask(std::string attributes, core::RecordId id,
                                       std::string tenant);

  io::IoRuntime& runtime_;
  core::Workers& disk_;
  const core::TransformStepConfig& config_;
  io::HttpClient client_;
  std::uint32_t failures_ = 0;  // in a row
  core::SteadyTime probe_at_{};
  core::Error last_failure_;
};

}  // namespace daybook::api
