#include "api/subscribers.hpp"

#include <algorithm>
#include <array>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "core/check.hpp"
#include "core/delivery/parked_source.hpp"
#include "core/text.hpp"
#include "io/runtime.hpp"

namespace daybook::api {

namespace json = boost::json;
using core::Task;
using core::delivery::Deliverer;
using core::delivery::Event;
using core::delivery::FeedSource;
using core::delivery::ParkedSource;
using core::delivery::Verdict;

namespace {

constexpr auto kStoreTimeout = std::chrono::seconds(10);
// How soon subscribers hear of new rows, and how often the metadata store is asked for them, once
// for all of them.
constexpr auto kWatchEvery = std::chrono::milliseconds(500);
// How often each reads the feed without having heard of a new row: when that watch fails.
constexpr auto kFeedPoll = std::chrono::seconds(30);

// Verdict::reason
constexpr std::array kReasons = {"status_4xx", "status_5xx",  "status_other",    "gone",
                                 "throttled",  "unavailable", "timeout",         "connect",
                                 "tls",        "permission",  "refused_address", "payload"};

prometheus::Labels label(const std::string& subscriber) {
  return {{"subscriber", subscriber}};
}

// Of a report, which an older version may have made.
std::uint64_t missed_in(const std::string& report) {
  boost::system::error_code error;
  const json::value said = json::parse(report, error);
  const json::object* members = error ? nullptr : said.if_object();
  const json::value* missed = members == nullptr ? nullptr : members->if_contains("missed");
  if (missed == nullptr || !missed->is_number()) return 0;
  const auto number = missed->to_number<std::uint64_t>(error);
  return error ? 0 : number;
}

json::value time_or_null(const std::optional<core::WallTime>& time) {
  return time ? json::value(core::format_time(*time)) : nullptr;
}

}  // namespace

Subscribers::Subscribers(Services services, const core::Config& config, core::SubscriberOwner owner,
                         bool delivers)
    : services_(services),
      window_(services.runtime, services.metadata),
      stop_(services.runtime.make_signal()) {
  for (const core::SubscriberConfig& one : config.subscribers) {
    add(one, owner, config.pipeline_lease, delivers);
  }
}

void Subscribers::add(const core::SubscriberConfig& config, const core::SubscriberOwner& owner,
                      core::Duration lease, bool delivers) {
  auto entry = std::make_unique<Entry>();
  auto settings = make_subscriber(config);
  CHECK(settings.has_value());
  entry->settings = std::move(*settings);
  entry->url = entry->settings.url.origin();  // many have a secret in their path
  entry->enabled = config.enabled;
  const Subscriber& subscriber = entry->settings;
  if (subscriber.events.front() == Event::parked) {
    entry->source = std::make_unique<ParkedSource>(services_.buffer, services_.cursors,
                                                   subscriber.name, subscriber.filter);
  } else {
    auto feed =
        std::make_unique<FeedSource>(services_.metadata, window_, services_.cursors,
                                     FeedSource::Settings{subscriber.name, subscriber.events,
                                                          subscriber.filter, subscriber.from_now});
    entry->feed = feed.get();
    entry->source = std::move(feed);
  }
  entry->sender = std::make_unique<WebhookSender>(services_.runtime, services_.workers,
                                                  services_.objects, texts_, subscriber);
  if (delivers && config.enabled) {
    Deliverer::Settings course{.name = subscriber.name,
                               .owner = owner,
                               .lease = lease,
                               .timeout = subscriber.timeout,
                               .course = subscriber.course};
    if (entry->feed != nullptr) course.poll = kFeedPoll;
    course.seed = std::hash<std::string>()(owner.run + subscriber.name);
    entry->deliverer =
        std::make_unique<Deliverer>(Deliverer::Services{services_.runtime, services_.cursors,
                                                        *entry->source, *entry->sender, *this},
                                    std::move(course));
    const Entry* reported = entry.get();
    entry->deliverer->set_report(
        [this, reported] { return json::serialize(entry_json(*reported)); });
  }
  // From the start, so that a first failure is an increase.
  Metrics& metrics = services_.metrics;
  series_.emplace(subscriber.name,
                  Series{Metrics::series(metrics.subscriber_delivered, label(subscriber.name)),
                         Metrics::series(metrics.subscriber_seconds, label(subscriber.name))});
  for (const char* reason : kReasons) {
    metrics.add(metrics.subscriber_failed, {{"subscriber", subscriber.name}, {"reason", reason}},
                0);
  }
  entries_.push_back(std::move(entry));
}

core::Deadline Subscribers::deadline() const {
  return services_.runtime.steady_now() + kStoreTimeout;
}

void Subscribers::start() {
  bool feeds = false;
  for (const auto& entry : entries_) {
    feeds = feeds || (entry->feed != nullptr && entry->enabled);
    if (entry->deliverer) entry->deliverer->start();
  }
  if (!feeds) return;
  watching_ = true;
  services_.runtime.spawn(watch_feed());
}

void Subscribers::stop() {
  stopping_ = true;
  stop_->notify_all();
  for (const auto& entry : entries_) {
    if (entry->deliverer) entry->deliverer->stop();
  }
}

Task<bool> Subscribers::drained(core::Deadline deadline) {
  bool all = true;
  for (const auto& entry : entries_) {
    if (entry->deliverer) all = co_await entry->deliverer->drained(deadline) && all;
  }
  while (watching_) {
    const bool notified = co_await stop_->wait(deadline);
    if (!notified && services_.runtime.steady_now() >= deadline) co_return false;
  }
  co_return all;
}

// One question for all subscribers tells whether there is something new, and how far each is
// behind.
Task<> Subscribers::watch_feed() {
  while (!stopping_) {
    const auto bounds = co_await window_.bounds(deadline());
    if (bounds && bounds->last != feed_last_) {
      feed_last_ = bounds->last;
      for (const auto& entry : entries_) {
        if (entry->feed == nullptr) continue;
        entry->feed->set_last(feed_last_);
        if (entry->deliverer) entry->deliverer->poke();
      }
    }
    if (!stopping_) co_await stop_->wait(services_.runtime.steady_now() + kWatchEvery);
  }
  watching_ = false;
  stop_->notify_all();
}

Subscribers::Entry* Subscribers::find(const std::string& name) {
  for (const auto& entry : entries_) {
    if (entry->settings.name == name) return entry.get();
  }
  return nullptr;
}

// A process without deliverers has to ask; the others know from their leases.
Task<> Subscribers::look_at(Entry& entry) {
  if (entry.deliverer) co_return;
  auto record = co_await services_.cursors.look(entry.settings.name, deadline());
  entry.known = record.has_value();
  if (record) entry.seen = std::move(*record);
}

Deliverer::State Subscribers::state_of(const Entry& entry) const {
  if (entry.deliverer) return entry.deliverer->state();
  Deliverer::State state;
  state.record = entry.seen;
  state.cursor = entry.seen.cursor ? entry.seen.cursor->sequence : 0;
  state.lag = entry.source->lag(state.cursor);
  state.word = !entry.known ? "unknown" : entry.seen.pause ? "paused" : "standby";
  return state;
}

json::object Subscribers::entry_json(const Entry& entry) const {
  const Deliverer::State state = state_of(entry);
  json::array events;
  for (const Event event : entry.settings.events) events.push_back(json::value(to_string(event)));
  json::object object = {{"name", entry.settings.name},
                         {"url", entry.url},
                         {"events", std::move(events)},
                         {"state", entry.enabled ? state.word : "disabled"},
                         {"node", state.record.holder},
                         {"cursor", state.cursor},
                         {"lag", state.lag},
                         {"in_flight", state.in_flight},
                         {"missed", std::max(entry.missed, missed_in(state.record.report))},
                         {"parked", state.record.parked},
                         {"redriving", state.record.redriving},
                         {"delivered", state.delivered},
                         {"delivered_at", time_or_null(state.delivered_at)},
                         {"away_since", time_or_null(state.away_since)}};
  object["paused"] = nullptr;
  if (const auto& pause = state.record.pause) {
    object["paused"] =
        json::object{{"at", core::format_time(pause->at)}, {"reason", pause->reason}};
  }
  object["last_error"] = nullptr;
  if (state.failed_at) {
    object["last_error"] =
        json::object{{"at", core::format_time(*state.failed_at)}, {"detail", state.last_error}};
  }
  if (state.word != "standby" || state.record.report.empty()) return object;
  // What only the node that delivers knows, as it said when it last renewed its lease.
  boost::system::error_code error;
  const json::value report = json::parse(state.record.report, error);
  const json::object* said = error ? nullptr : report.if_object();
  if (said == nullptr) return object;
  for (const char* name :
       {"state", "in_flight", "delivered", "delivered_at", "away_since", "last_error"}) {
    if (const json::value* value = said->if_contains(name)) object[name] = *value;
  }
  return object;
}

json::array Subscribers::status() const {
  json::array all;
  for (const auto& entry : entries_) all.push_back(entry_json(*entry));
  return all;
}

void Subscribers::refresh_metrics() {
  Metrics& metrics = services_.metrics;
  for (const auto& entry : entries_) {
    const Deliverer::State state = state_of(*entry);
    const auto one = label(entry->settings.name);
    metrics.set(metrics.subscriber_lag, static_cast<double>(state.lag), one);
    metrics.set(metrics.subscriber_parked, static_cast<double>(state.record.parked), one);
    metrics.set(metrics.subscriber_paused, state.record.pause ? 1 : 0, one);
  }
}

// --- what the deliverers tell ---

void Subscribers::on_delivered(const std::string& subscriber, core::Duration took) {
  const Series& series = series_.at(subscriber);
  series.delivered.Increment();
  series.seconds.Observe(std::chrono::duration<double>(took).count());
}

void Subscribers::on_failed(const std::string& subscriber, const core::RecordId& id,
                            const Verdict& verdict) {
  services_.metrics.add(services_.metrics.subscriber_failed,
                        {{"subscriber", subscriber}, {"reason", verdict.reason}});
  if (verdict.kind == Verdict::Kind::failed) {
    spdlog::warn("subscriber {}: record {}: {}", subscriber, id.str(), verdict.detail);
  }
}

void Subscribers::on_parked(const std::string& subscriber, const core::ParkedDelivery& delivery) {
  spdlog::error(
      "subscriber {}: the delivery of record {} is parked after {} attempts: {}. "
      "See: daybook subscribers show {}",
      subscriber, delivery.id.str(), delivery.attempts, delivery.reason, subscriber);
}

void Subscribers::on_paused(const std::string& subscriber, const std::string& reason) {
  spdlog::error("subscriber {} is paused: {}. Mend it, then: daybook subscribers resume {}",
                subscriber, reason, subscriber);
}

void Subscribers::on_away(const std::string& subscriber, const Verdict* verdict) {
  if (verdict == nullptr) {
    spdlog::info("subscriber {} takes notices again", subscriber);
  } else {
    spdlog::warn("subscriber {} takes no notices: {}; it is tried again and again", subscriber,
                 verdict->detail);
  }
}

void Subscribers::on_missed(const std::string& subscriber, std::uint64_t entries) {
  if (Entry* entry = find(subscriber)) entry->missed += entries;
  services_.metrics.add(services_.metrics.subscriber_missed, label(subscriber),
                        static_cast<double>(entries));
  spdlog::error(
      "subscriber {}: {} entries of the feed were removed before they were delivered; it goes on "
      "with the oldest that is kept",
      subscriber, entries);
}

// Whoever delivered before may have missed some, too.
void Subscribers::on_lease(const std::string& subscriber, bool held) {
  if (Entry* entry = find(subscriber); held && entry != nullptr) {
    entry->missed = std::max(entry->missed, missed_in(state_of(*entry).record.report));
  }
  spdlog::info("subscriber {}: this node {}", subscriber, held ? "delivers" : "no longer delivers");
}

void Subscribers::on_trouble(const std::string& subscriber, std::string_view doing,
                             const core::Error& error) {
  spdlog::warn("subscriber {}: {}: {}", subscriber, doing, error.detail);
}

}  // namespace daybook::api
