// AwsSigner: what every request to an AWS service is signed with: keys, and a time the service
// accepts. It also judges a refusal: whether other keys or another time would mend it. Independent
// of the service; shared by all its requests. I/O thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "core/ports/runtime.hpp"
#include "core/result.hpp"
#include "storage/aws_credentials.hpp"

namespace daybook::storage {

class AwsSigner {
 public:
  // on_offset: the service's clock minus ours, whenever it is corrected. May be empty.
  AwsSigner(core::Runtime& runtime, std::shared_ptr<AwsCredentials> credentials,
            std::function<void(core::Duration)> on_offset = {});

  struct Ready {
    core::sigv4::Credentials keys;
    core::WallTime time;
  };
  core::Task<core::Result<Ready>> ready(core::Deadline deadline);

  // The service refused a request signed with `used`. True: sign and send it once more.
  // - expired, revoked or unknown keys: the credentials were renewed and are others now
  // - a time too far from the service's: its Date shows by how much; the difference is kept and
  // used
  //   from now on
  // code: the service's word; date: its Date field. An answer without words (to HEAD) is judged by
  // status and date alone.
  core::Task<bool> mend(Ready used, int status, std::string_view code, std::string_view date,
                        core::Deadline deadline);

  [[nodiscard]] core::Duration clock_offset() const { return offset_; }
  [[nodiscard]] AwsCredentials& credentials() { return *credentials_; }

 private:
  bool correct_clock(core::WallTime used, std::string_view date, bool certain);

  core::Runtime& runtime_;
  std::shared_ptr<AwsCredentials> credentials_;
  std::function<void(core::Duration)> on_offset_;
  core::Duration offset_{};
};

}  // namespace daybook::storage
