// Subscribers: the webhooks of the configuration, each with a Deliverer of its own, and what people
// may see of and do with them. Owned by main; I/O thread only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "api/metrics.hpp"
#include "api/subscriber_settings.hpp"
#include "api/webhook_sender.hpp"
#include "core/delivery/deliverer.hpp"
#include "core/delivery/feed_source.hpp"
#include "core/ports/cursor_store.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

class Subscribers final : public core::DeliveryObserver {
 public:
  struct Services {
    io::IoRuntime& runtime;
    core::Workers& workers;
    core::WriteAheadBuffer& buffer;
    core::ObjectStore& objects;
    core::MetadataStore& metadata;
    core::CursorStore& cursors;
    Metrics& metrics;
  };
  // The configuration's subscribers must have passed make_subscriber. delivers: this process has
  // the pipeline's role; without it others deliver.
  Subscribers(Services services, const core::Config& config, core::SubscriberOwner owner,
              bool delivers);

  void start();
  void stop();
  core::Task<bool> drained(core::Deadline deadline);

  void refresh_metrics();
  // As of the last look; for /v1/status.
  [[nodiscard]] boost::json::array status() const;

  // Each answers the exchange and returns the status for the metrics.
  core::Task<int> list(io::HttpExchange& exchange);
  core::Task<int> show(io::HttpExchange& exchange, std::string name);
  // pause | resume | redrive | drop | test
  core::Task<int> act(io::HttpExchange& exchange, std::string name, std::string action);

  void on_delivered(const std::string& subscriber, core::Duration took) override;
  void on_failed(const std::string& subscriber, const core::RecordId& id,
                 const core::delivery::Verdict& verdict) override;
  void on_parked(const std::string& subscriber, const core::ParkedDelivery& delivery) override;
  void on_paused(const std::string& subscriber, const std::string& reason) override;
  void on_away(const std::string& subscriber, const core::delivery::Verdict* verdict) override;
  void on_missed(const std::string& subscriber, std::uint64_t entries) override;
  void on_lease(const std::string& subscriber, bool held) override;
  void on_trouble(const std::string& subscriber, std::string_view doing,
                  const core::Error& error) override;

 private:
  struct Entry {
    Subscriber settings;
    std::string url;  // as it may be shown
    bool enabled = true;
    core::delivery::FeedSource* feed = nullptr;  // null: it is told of parked records
    std::unique_ptr<core::delivery::Source> source;
    std::unique_ptr<WebhookSender> sender;
    std::unique_ptr<core::delivery::Deliverer> deliverer;  // null where this process has none
    core::SubscriberRecord seen;                           // without one: as of the last look
    bool known = false;
    std::uint64_t missed = 0;  // entries that the feed no longer had, here and before
  };

  // Of each subscriber, by its name.
  struct Series {
    prometheus::Counter& delivered;
    prometheus::Histogram& seconds;
  };

  void add(const core::SubscriberConfig& config, const core::SubscriberOwner& owner,
           core::Duration lease, bool delivers);
  core::Task<> watch_feed();
  core::Task<> look_at(Entry& entry);
  [[nodiscard]] Entry* find(const std::string& name);
  [[nodiscard]] core::delivery::Deliverer::State state_of(const Entry& entry) const;
  [[nodiscard]] boost::json::object entry_json(const Entry& entry) const;
  core::Task<io::HttpAnswer> change(Entry& entry, std::string action, std::string query,
                                    std::string who);
  core::Task<io::HttpAnswer> test(Entry& entry);
  [[nodiscard]] core::Deadline deadline() const;

  Services services_;
  core::delivery::FeedWindow window_;
  NoticeTexts texts_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::map<std::string, Series> series_;
  std::unique_ptr<core::Signal> stop_;
  std::uint64_t feed_last_ = 0;
  bool watching_ = false;
  bool stopping_ = false;
};

}  // namespace daybook::api
