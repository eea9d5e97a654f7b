#include "api/aws_setup.hpp"

namespace daybook::api {

AwsSettings s3_aws_settings(const core::Config& config) {
  return {.credentials = config.archive_s3_credentials,
          .access_key = config.archive_s3_access_key,
          .secret_key = config.archive_s3_secret_key,
          .session_token = config.archive_s3_session_token,
          .profile = config.archive_s3_profile,
          .region = config.archive_s3_region};
}

core::Result<std::string> aws_region_of(const AwsSettings& settings,
                                        storage::AwsVariables variables) {
  if (!settings.region.empty()) return settings.region;
  return storage::aws_region({std::move(variables), settings.profile, ""});
}

// AWS General Reference, "Amazon S3 endpoints and quotas". China has a domain of its own.
std::string aws_s3_endpoint(const std::string& region, bool dualstack, bool fips) {
  return std::string("https://s3") + (fips ? "-fips" : "") + (dualstack ? ".dualstack." : ".") +
         region + ".amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
}

std::shared_ptr<storage::AwsSigner> make_aws_signer(const AwsSettings& settings,
                                                    const std::string& region,
                                                    storage::AwsVariables variables,
                                                    io::IoRuntime& runtime, core::Workers& workers,
                                                    AwsEvents events) {
  using namespace storage;
  std::shared_ptr<AwsCredentials> credentials;
  if (!settings.access_key.empty()) {
    credentials = AwsCredentials::fixed(
        runtime, {settings.access_key, settings.secret_key, settings.session_token});
  } else {
    const AwsSetup setup{std::move(variables), settings.profile, region};
    std::unique_ptr<AwsCredentialSource> source;
    if (settings.credentials == "auto") {
      source = make_aws_chain(runtime, workers, setup);
    } else {
      std::vector<std::unique_ptr<AwsCredentialSource>> only;
      only.push_back(make_aws_source(settings.credentials, runtime, workers, setup));
      source = std::make_unique<AwsCredentialChain>(std::move(only));
    }
    credentials = AwsCredentials::make(runtime, std::move(source), std::move(events.credentials));
  }
  return std::make_shared<AwsSigner>(runtime, std::move(credentials),
                                     std::move(events.on_clock_offset));
}

}  // namespace daybook::api
