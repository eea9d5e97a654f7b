// What the AWS side does, as metrics and log lines. Keys are in neither.
#pragma once

#include "api/aws_setup.hpp"
#include "api/metrics.hpp"

namespace daybook::api {

// service: "s3", the label. metrics must outlive the events.
[[nodiscard]] AwsEvents log_aws(Metrics& metrics, std::string service);

}  // namespace daybook::api
