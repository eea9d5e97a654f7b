// AwsCredentials: the keys to sign the next request with, wherever they come from. Independent of
// the service: S3 and DynamoDB take the same ones. I/O thread only.
//
// - current() answers at once while there are valid keys, and renews them in the background well
//   before they expire. It waits only when there are none.
// - One renewal at a time, at most one try a second; one that fails leaves the old keys in use
// until
//   they expire. Keys that have ended already by this machine's clock are used all the same.
// - Keys are never part of an error, a log line or describe().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/ports/runtime.hpp"
#include "core/result.hpp"
#include "core/sigv4/sigv4.hpp"

namespace daybook::storage {

struct AwsKeys {
  core::sigv4::Credentials keys;
  std::optional<core::WallTime> expires;     // as the source says; nothing: they do not
  std::optional<core::Duration> look_again;  // the source can change (a file): look after so long
  std::string source;                        // "environment", "instance metadata, role web"
};

// One place that credentials may come from. Code::not_found: it is not set up here, and detail says
// what is lacking ("AWS_ACCESS_KEY_ID is not set"). Any other error: it is set up and fails.
class AwsCredentialSource {
 public:
  virtual ~AwsCredentialSource() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  virtual core::Task<core::Result<AwsKeys>> fetch(core::Deadline deadline) = 0;
};

class AwsCredentials final : public std::enable_shared_from_this<AwsCredentials> {
 public:
  // What the owner may log and count. Both may be empty.
  struct Events {
    std::function<void(const AwsKeys&)> on_renewed;  // first keys, or others than before
    // Every try that failed; news: for another reason than the one before.
    std::function<void(const core::Error&, bool news)> on_failed;
  };

  // runtime must outlive the last task that uses these.
  static std::shared_ptr<AwsCredentials> make(core::Runtime& runtime,
                                              std::unique_ptr<AwsCredentialSource> source,
                                              Events events = {});
  // Keys that never change.
  static std::shared_ptr<AwsCredentials> fixed(core::Runtime& runtime,
                                               core::sigv4::Credentials keys);

  // Code::denied, retry safe, where there are none: the sources and what each of them lacks.
  core::Task<core::Result<core::sigv4::Credentials>> current(core::Deadline deadline);

  // A service refused these keys (expired, revoked, unknown). Asks the source once more, unless
  // that was done a moment ago; true: current() has others now, and the request is worth another
  // try.
  core::Task<bool> replace(core::sigv4::Credentials refused, core::Deadline deadline);

  // "instance metadata, role web"; "" while there are no keys.
  [[nodiscard]] std::string source() const { return held_ ? held_->source : ""; }

 private:
  AwsCredentials(core::Runtime& runtime, std::unique_ptr<AwsCredentialSource> source,
                 Events events);
  static core::Task<> renew(std::shared_ptr<AwsCredentials> self);
  void renew_soon();
  core::Task<bool> renewal_ends(core::Deadline deadline);
  [[nodiscard]] bool valid() const;
  [[nodiscard]] bool tried_just_now() const;
  void take(AwsKeys fetched);

  core::Runtime& runtime_;
  std::unique_ptr<AwsCredentialSource> source_;
  Events events_;
  std::unique_ptr<core::Signal> renewed_;
  std::optional<AwsKeys> held_;
  std::optional<core::SteadyTime> due_;  // of the next renewal
  std::optional<core::SteadyTime> tried_;
  std::optional<core::Error> failure_;  // of the last try
  bool renewing_ = false;
};

}  // namespace daybook::storage
