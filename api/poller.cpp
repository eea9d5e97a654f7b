#include "api/poller.hpp"

#include <algorithm>
#include <array>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "core/polling/schedule.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
namespace polling = core::polling;
using core::Result;
using core::Task;

constexpr core::Duration kLeaseTimeout = std::chrono::seconds(5);

constexpr std::array<std::string_view, 11> kOutcomes = {
    "ok",      "unchanged",  "unreachable", "timeout",  "failed",  "throttled",
    "refused", "bad_answer", "too_large",   "not_kept", "no_place"};
constexpr std::array<std::string_view, 4> kRecordOutcomes = {"new", "known", "changed",
                                                             "set_aside"};

double seconds_of(core::WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

}  // namespace

Poller::Poller(Services services, polling::PollRules rules, core::PlaceHolder holder,
               core::Duration lease, std::uint64_t seed)
    : services_(std::move(services)),
      rules_(std::move(rules)),
      holder_(std::move(holder)),
      lease_(lease),
      random_(seed),
      changed_(services_.runtime.make_signal()) {
  // Counters that are there from the start, so that a first failure is an increase.
  Metrics& metrics = services_.metrics;
  for (const std::string_view outcome : kOutcomes) {
    metrics.add(metrics.poller_polls, {{"poller", rules_.name}, {"outcome", std::string(outcome)}},
                0);
  }
  for (const std::string_view outcome : kRecordOutcomes) {
    metrics.add(metrics.poller_records,
                {{"poller", rules_.name}, {"outcome", std::string(outcome)}}, 0);
  }
}

std::string_view Poller::word(Outcome outcome) {
  return kOutcomes[static_cast<std::size_t>(outcome)];
}

double Poller::random() {
  return std::uniform_real_distribution<>(0.0, 1.0)(random_);
}

void Poller::close() {
  closing_ = true;
  changed_->notify_all();
}

Task<> Poller::run() {
  lease_loop_runs_ = true;
  services_.runtime.spawn(keep_lease());
  while (!closing_) {
    const core::SteadyTime until = granted_ ? due_ : core::SteadyTime::max();
    if (services_.runtime.steady_now() < until) {
      co_await changed_->wait(until);
      continue;
    }
    polling_ = true;
    last_poll_at_ = services_.runtime.now();
    const Polled polled = co_await poll();
    polling_ = false;
    if (!closing_) settle(polled);
  }
  while (lease_loop_runs_) co_await changed_->wait(core::SteadyTime::max());
  if (granted_) {
    static_cast<void>(co_await services_.places.give_up(
        rules_.name, holder_, services_.runtime.steady_now() + kLeaseTimeout));
  }
}

// --- the lease ---

Task<> Poller::keep_lease() {
  while (!closing_) {
    co_await claim();
    claim_now_ = false;
    const core::SteadyTime next = services_.runtime.steady_now() + lease_ / 3;
    while (!closing_ && !claim_now_ && services_.runtime.steady_now() < next) {
      co_await changed_->wait(next);
    }
  }
  lease_loop_runs_ = false;
  changed_->notify_all();
}

Task<> Poller::claim() {
  const core::SteadyTime asked = services_.runtime.steady_now();
  auto claim = co_await services_.places.claim(rules_.name, holder_, lease_,
                                               json::serialize(status()), asked + kLeaseTimeout);
  if (claim) {
    if (claim->granted) claimed_ = asked;
    adopt(*std::move(claim));
  } else if (granted_ && services_.runtime.steady_now() >= claimed_ + lease_) {
    granted_ = false;
    spdlog::warn("poller {}: its lease cannot be renewed: {}", rules_.name, claim.error().detail);
  }
}

void Poller::adopt(core::PlaceClaim claim) {
  const bool is_new = claim.granted && (!granted_ || claim.fence != fence_);
  granted_ = claim.granted;
  other_holder_ = claim.granted ? std::string() : std::move(claim.holder);
  other_report_ = claim.granted ? std::string() : std::move(claim.report);
  if (!is_new) return;
  if (first_granted_ == core::WallTime{}) first_granted_ = services_.runtime.now();
  fence_ = claim.fence;
  saved_ = {};
  auto place = polling::place_from_json(claim.place);
  place_sound_ = place ? Result<void>() : Result<void>(core::Failure(place.error()));
  if (place) place_ = *std::move(place);
  // Not all at once, where many begin together.
  due_ = services_.runtime.steady_now() +
         std::chrono::duration_cast<core::Duration>(
             std::min(rules_.schedule.jitter, rules_.schedule.interval) * random());
  spdlog::info("poller {}: polled by this node{}", rules_.name,
               place_.cursor.empty() ? "" : ", from cursor " + place_.cursor);
  changed_->notify_all();
}

Task<Result<void>> Poller::reset(std::string cursor) {
  polling::PollPlace place;
  place.meaning = rules_.cursor.meaning();
  place.cursor = std::move(cursor);
  if (auto sent = polling::sent_cursor(rules_.cursor, place.cursor); !sent) co_return pass(sent);
  auto done = co_await services_.places.reset(rules_.name, to_json(place),
                                              services_.runtime.steady_now() + kLeaseTimeout);
  if (done) {
    spdlog::warn("poller {}: its place was reset by command", rules_.name);
    claim_now_ = true;
    changed_->notify_all();
  }
  co_return done;
}

// --- outcome ---

void Poller::settle(const Polled& polled) {
  Metrics& metrics = services_.metrics;
  metrics.add(metrics.poller_polls,
              {{"poller", rules_.name}, {"outcome", std::string(word(polled.outcome))}});
  const core::SteadyTime now = services_.runtime.steady_now();
  const bool changed = !last_ || last_->outcome != polled.outcome || last_->detail != polled.detail;
  if (is_good(polled.outcome)) {
    if (failures_ != 0) spdlog::info("poller {}: the source answers again", rules_.name);
    failures_ = 0;
    const core::Duration took = services_.runtime.now() - *last_poll_at_;
    const core::Duration wait = wait_after_success(rules_.schedule, random());
    due_ = now + std::max(core::Duration{}, wait - took);
  } else {
    ++failures_;
    if (changed) {
      spdlog::warn("poller {}: {}: {}", rules_.name, word(polled.outcome), polled.detail);
    }
    due_ = now + wait_after_failure(rules_.schedule, failures_, polled.retry_after, random());
  }
  last_ = polled;
}

void Poller::count(std::string_view outcome) {
  if (outcome == "new" || outcome == "changed") ++records_;
  services_.metrics.add(services_.metrics.poller_records,
                        {{"poller", rules_.name}, {"outcome", std::string(outcome)}});
}

void Poller::refresh_metrics() {
  Metrics& metrics = services_.metrics;
  const prometheus::Labels labels = {{"poller", rules_.name}};
  metrics.set(metrics.poller_holder, granted_ ? 1 : 0, labels);
  const core::WallTime since = place_.completed_at.value_or(first_granted_);
  const auto lag = services_.runtime.now() - since;
  metrics.set(metrics.poller_lag,
              granted_ ? std::max(0.0, std::chrono::duration<double>(lag).count()) : 0, labels);
  metrics.set(metrics.poller_last_success,
              place_.completed_at ? seconds_of(*place_.completed_at) : 0, labels);
}

json::object Poller::status() const {
  json::object object;
  if (!granted_ && !other_holder_.empty()) {
    boost::system::error_code error;
    const json::value report = json::parse(other_report_, error);
    if (!error && report.is_object()) object = report.get_object();
    object["name"] = rules_.name;
    object["polled_by"] = other_holder_;
    return object;
  }
  object["name"] = rules_.name;
  object["url"] = rules_.origin + rules_.target.substr(0, rules_.target.find('?'));
  object["polled_by"] = granted_ ? holder_.node : "";
  object["state"] = !granted_ ? "waiting" : failures_ > 0 ? "failing" : last_ ? "ok" : "starting";
  if (last_) {
    object["outcome"] = word(last_->outcome);
    if (!last_->detail.empty()) object["detail"] = last_->detail;
  }
  if (last_poll_at_) object["last_poll_at"] = core::format_time(*last_poll_at_);
  if (place_.completed_at) object["last_success_at"] = core::format_time(*place_.completed_at);
  if (granted_ && !polling_ && last_) {
    const auto wait =
        std::chrono::duration_cast<core::WallTime::duration>(due_ - services_.runtime.steady_now());
    object["next_poll_at"] = core::format_time(services_.runtime.now() + wait);
  }
  object["failures"] = failures_;
  object["records"] = records_;
  if (!place_.cursor.empty()) object["cursor"] = place_.cursor;
  if (!place_.next.empty()) object["window"] = "open";
  return object;
}

}  // namespace daybook::api
