// The AWS side of the configuration: region, endpoint and credentials, from settings, environment
// and the AWS tools' files. For every service that signs its requests the AWS way.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/config.hpp"
#include "core/ports/workers.hpp"
#include "io/runtime.hpp"
#include "storage/aws_chain.hpp"
#include "storage/aws_signer.hpp"

namespace daybook::api {

// What may be logged and counted; each may be empty.
struct AwsEvents {
  storage::AwsCredentials::Events credentials;
  std::function<void(core::Duration)> on_clock_offset;
};

// The settings of one service, as its section of the configuration has them.
struct AwsSettings {
  std::string credentials = "auto";
  std::string access_key, secret_key, session_token;
  std::string profile;
  std::string region;
};
[[nodiscard]] AwsSettings s3_aws_settings(const core::Config& config);

// settings.region, or what environment and profile say; "" where nobody says. Reads files: for
// start-up.
[[nodiscard]] core::Result<std::string> aws_region_of(const AwsSettings& settings,
                                                      storage::AwsVariables variables);

// https://s3.REGION.amazonaws.com and its variants.
[[nodiscard]] std::string aws_s3_endpoint(const std::string& region, bool dualstack, bool fips);

// region: for the token service.
[[nodiscard]] std::shared_ptr<storage::AwsSigner> make_aws_signer(
    const AwsSettings& settings, const std::string& region, storage::AwsVariables variables,
    io::IoRuntime& runtime, core::Workers& workers, AwsEvents events = {});

}  // namespace daybook::api
