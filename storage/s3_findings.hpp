// What an S3 service was found to honour, and what that means for what the settings promise. Pure;
// any thread. s3_probe.cpp finds it out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/ports/object_store.hpp"
#include "core/result.hpp"
#include "storage/s3_options.hpp"

namespace daybook::storage {

enum class S3Answer { unknown, yes, no };

struct S3Findings {
  S3Answer conditional_put = S3Answer::unknown;  // If-None-Match: * on a PUT
  S3Answer checksums = S3Answer::unknown;        // a wrong x-amz-checksum-sha256 is refused
  S3Answer versioning = S3Answer::unknown;       // every PUT adds a version
  S3Answer object_lock = S3Answer::unknown;      // the bucket was made with it
  std::string default_rule;                      // the bucket's own retention, in words
  std::string refused;                           // why the store took no object with these options
  std::vector<std::string> forgotten;            // settings it took and does not show

  [[nodiscard]] bool forgot(std::string_view setting) const;
};

// Whether archiving may go on: no object is stored without the lock or the encryption that the
// settings promise. The error says what mends it.
[[nodiscard]] core::Result<void> check_promises(const S3Options& options,
                                                const S3Findings& findings,
                                                std::string_view bucket);
// The options that are sent: without locks where the store has none and none is required.
[[nodiscard]] S3Options options_in_force(S3Options options, const S3Findings& findings);
[[nodiscard]] std::vector<core::StoreFact> facts_of(const S3Options& options,
                                                    const S3Findings& findings);

}  // namespace daybook::storage
