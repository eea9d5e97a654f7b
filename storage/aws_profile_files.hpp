// The AWS tools' shared `config` and `credentials` files: INI text in sections, one a profile.
// Source: AWS SDKs and Tools Reference Guide, "shared config and credentials files"; where it is
// silent, what botocore does. Pure but for read_aws_profiles; any thread.
//
//   config        [default] and [profile NAME]; other sections (sso-session, services) are no
//   profiles credentials   [NAME] name = value  names in any case; a line that is indented deeper
//   than the one before belongs to
//                 it (nested settings such as `s3 =`) and is skipped; '#' and ';' begin comments,
//                 inside a line only after a space
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace daybook::storage {

using AwsProfile = std::map<std::string, std::string, std::less<>>;  // names in lower case
using AwsProfiles = std::map<std::string, AwsProfile, std::less<>>;

enum class AwsFileKind { config, credentials };

// Sections of one name are one profile; the later value counts. An error names the line, never what
// is in it. `[profile default]` is preferred to `[default]`.
[[nodiscard]] core::Result<AwsProfiles> parse_aws_profiles(std::string_view text, AwsFileKind kind);

// Reads and parses; a file that does not exist has no profiles. Blocks: for workers and start-up.
[[nodiscard]] core::Result<AwsProfiles> read_aws_profiles(const std::string& path,
                                                          AwsFileKind kind);

}  // namespace daybook::storage
