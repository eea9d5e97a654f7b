#include "storage/aws_credentials.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::sigv4::Credentials;

// So long before they expire keys are renewed; a third of their life where that is shorter.
constexpr core::Duration kRenewBefore = std::chrono::minutes(15);

// A request signed with keys that end within this time might arrive too late.
constexpr std::chrono::microseconds kLastMoment = std::chrono::seconds(2);

// Keys that had ended when they came are asked for again after so long.
constexpr core::Duration kEndedInterval = std::chrono::seconds(10);

constexpr core::Duration kBetweenTries = std::chrono::seconds(1);
constexpr core::Duration kRenewTimeout = std::chrono::seconds(10);

class FixedSource final : public AwsCredentialSource {
 public:
  explicit FixedSource(Credentials keys) : keys_(std::move(keys)) {}
  [[nodiscard]] std::string name() const override { return "settings"; }
  Task<Result<AwsKeys>> fetch(core::Deadline /*deadline*/) override {
    co_return AwsKeys{keys_, std::nullopt, std::nullopt, name()};
  }

 private:
  Credentials keys_;
};

bool same(const Credentials& a, const Credentials& b) {
  return a.access_key == b.access_key && a.secret_key == b.secret_key &&
         a.session_token == b.session_token;
}

}  // namespace

std::shared_ptr<AwsCredentials> AwsCredentials::make(core::Runtime& runtime,
                                                     std::unique_ptr<AwsCredentialSource> source,
                                                     Events events) {
  return std::shared_ptr<AwsCredentials>(
      new AwsCredentials(runtime, std::move(source), std::move(events)));
}

std::shared_ptr<AwsCredentials> AwsCredentials::fixed(core::Runtime& runtime, Credentials keys) {
  auto made = make(runtime, std::make_unique<FixedSource>(keys));
  made->take({std::move(keys), std::nullopt, std::nullopt, "settings"});
  return made;
}

AwsCredentials::AwsCredentials(core::Runtime& runtime, std::unique_ptr<AwsCredentialSource> source,
                               Events events)
    : runtime_(runtime),
      source_(std::move(source)),
      events_(std::move(events)),
      renewed_(runtime.make_signal()) {}

bool AwsCredentials::valid() const {
  if (!held_) return false;
  return !held_->expires || *held_->expires > runtime_.now() + kLastMoment;
}

bool AwsCredentials::tried_just_now() const {
  return tried_ && runtime_.steady_now() - *tried_ < kBetweenTries;
}

void AwsCredentials::renew_soon() {
  if (renewing_) return;
  renewing_ = true;
  tried_ = runtime_.steady_now();
  runtime_.spawn(renew(shared_from_this()));
}

Task<Result<Credentials>> AwsCredentials::current(core::Deadline deadline) {
  const auto self = shared_from_this();
  if (valid()) {
    if (due_ && runtime_.steady_now() >= *due_ && !tried_just_now()) renew_soon();
    co_return held_->keys;
  }
  if (!renewing_) {
    if (tried_just_now() && failure_) co_return core::Failure(*failure_);
    renew_soon();
  }
  if (!co_await renewal_ends(deadline)) {
    co_return core::fail(Code::timeout, Origin::self, Retry::safe,
                         "There were no AWS credentials before the deadline; they come from " +
                             source_->name() + ".");
  }
  if (valid()) co_return held_->keys;
  CHECK(failure_.has_value());
  co_return core::Failure(*failure_);
}

// False: the deadline passed before.
Task<bool> AwsCredentials::renewal_ends(core::Deadline deadline) {
  while (renewing_) {
    if (!co_await renewed_->wait(deadline) && runtime_.steady_now() >= deadline) co_return false;
  }
  co_return true;
}

Task<bool> AwsCredentials::replace(Credentials refused, core::Deadline deadline) {
  const auto self = shared_from_this();
  const auto others = [&] { return held_ && valid() && !same(held_->keys, refused); };
  if (others()) co_return true;  // somebody else's refusal brought them
  if (!renewing_) {
    if (tried_just_now()) co_return false;
    renew_soon();
  }
  static_cast<void>(co_await renewal_ends(deadline));
  co_return others();
}

Task<> AwsCredentials::renew(std::shared_ptr<AwsCredentials> self) {
  auto fetched = co_await self->source_->fetch(self->runtime_.steady_now() + kRenewTimeout);
  // Ended by our clock, which may be the one that is wrong; or the source has an outage of its own.
  // The service decides, and its answer shows its clock.
  if (fetched && fetched->expires && *fetched->expires <= self->runtime_.now() + kLastMoment) {
    fetched->expires.reset();
    fetched->look_again = kEndedInterval;
    fetched->source += " (which have ended by this machine's clock)";
  }
  self->renewing_ = false;
  if (fetched) {
    self->failure_.reset();
    self->take(std::move(*fetched));
  } else {
    core::Error error = std::move(fetched).error();
    if (error.code == Code::not_found) error.code = Code::denied;
    error.retry = Retry::safe;
    const bool news = !self->failure_ || self->failure_->detail != error.detail;
    self->failure_ = std::move(error);
    if (self->events_.on_failed) self->events_.on_failed(*self->failure_, news);
  }
  self->renewed_->notify_all();
}

void AwsCredentials::take(AwsKeys fetched) {
  const bool news = !held_ || !same(held_->keys, fetched.keys) || held_->expires != fetched.expires;
  held_ = std::move(fetched);
  const core::SteadyTime now = runtime_.steady_now();
  due_.reset();
  if (held_->expires) {
    const core::Duration left = *held_->expires - runtime_.now();
    due_ = now + left - std::min(kRenewBefore, left / 3);
  }
  if (held_->look_again)
    due_ = std::min(due_.value_or(core::SteadyTime::max()), now + *held_->look_again);
  if (news && events_.on_renewed) events_.on_renewed(*held_);
}

}  // namespace daybook::storage
