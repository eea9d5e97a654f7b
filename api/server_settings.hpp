// The configuration in the words of what the server is made of.
#pragma once

#include <string>

#include "api/metrics.hpp"
#include "core/config.hpp"
#include "core/pipeline/segment_writer.hpp"
#include "io/http_server.hpp"
#include "storage/redis_buffer.hpp"

namespace daybook::api {

// node: this node's name among the buffer's consumers. Each call is a new run of it.
[[nodiscard]] core::Result<storage::RedisBufferSettings> buffer_settings(const core::Config& config,
                                                                         const std::string& node);
[[nodiscard]] io::HttpServerSettings http_settings(const core::Config& config);
// metrics must outlive what is made of them.
[[nodiscard]] core::pipeline::SegmentSettings segment_settings(const core::Config& config,
                                                               Metrics& metrics);

}  // namespace daybook::api
