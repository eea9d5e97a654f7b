// The sources of AWS credentials on this machine, and the order in which the AWS tools ask them
// (botocore's): environment, web identity, shared credentials file, shared config file, container,
// instance metadata. What is set up and fails ends the search: nobody wants another identity than
// the one that was configured. The source that answered first is asked for ever after.
// I/O thread only; files are read by workers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/workers.hpp"
#include "io/runtime.hpp"
#include "storage/aws_credentials.hpp"
#include "storage/aws_profile_files.hpp"

namespace daybook::storage {

// The value of an environment variable; "" where it is not set.
using AwsVariables = std::function<std::string(std::string_view name)>;
[[nodiscard]] AwsVariables process_variables();

struct AwsSetup {
  AwsVariables variables;
  std::string profile;  // asked for by our own settings: environment keys do not count then
  std::string region;   // of the token service; empty: its global endpoint
};

// AWS_PROFILE, or "default".
[[nodiscard]] std::string aws_profile_name(const AwsSetup& setup);
// AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, ~/.aws/…
[[nodiscard]] std::string aws_file_path(const AwsSetup& setup, AwsFileKind kind);
// AWS_REGION, AWS_DEFAULT_REGION, the profile's region; "" where none says. Blocks: for start-up.
[[nodiscard]] core::Result<std::string> aws_region(const AwsSetup& setup);

// A source by its name in settings; null: there is none of this name.
//   environment | web_identity | profile | container | instance
[[nodiscard]] std::unique_ptr<AwsCredentialSource> make_aws_source(std::string_view name,
                                                                   io::IoRuntime& runtime,
                                                                   core::Workers& workers,
                                                                   const AwsSetup& setup);
// All of them, in order.
[[nodiscard]] std::unique_ptr<AwsCredentialSource> make_aws_chain(io::IoRuntime& runtime,
                                                                  core::Workers& workers,
                                                                  const AwsSetup& setup);

// The first source that is set up.
class AwsCredentialChain final : public AwsCredentialSource {
 public:
  explicit AwsCredentialChain(std::vector<std::unique_ptr<AwsCredentialSource>> sources)
      : sources_(std::move(sources)) {}
  [[nodiscard]] std::string name() const override;
  core::Task<core::Result<AwsKeys>> fetch(core::Deadline deadline) override;

 private:
  std::vector<std::unique_ptr<AwsCredentialSource>> sources_;
  AwsCredentialSource* chosen_ = nullptr;
};

}  // namespace daybook::storage
