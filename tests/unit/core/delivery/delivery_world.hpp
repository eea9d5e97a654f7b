// One subscriber on a virtual clock: the feed, what is kept, and a receiver that answers as the
// test says.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/delivery/deliverer.hpp"
#include "core/delivery/feed_source.hpp"
#include "tests/contract/fakes/memory_cursor_store.hpp"
#include "tests/contract/fakes/memory_metadata_store.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {

using core::delivery::Delivery;
using core::delivery::Event;
using core::delivery::Verdict;

inline Verdict verdict(Verdict::Kind kind, std::string reason = "connect") {
  return {.kind = kind, .reason = reason, .detail = "because of " + reason, .retry_after = {}};
}

class Receiver final : public core::NoticeSender {
 public:
  explicit Receiver(core::Runtime& runtime) : runtime_(runtime) {}

  core::Duration takes = std::chrono::milliseconds(5);
  std::function<Verdict(const Delivery&, Event)> answer;  // empty: delivered
  std::function<Verdict()> permission;
  std::uint32_t rate = 0;

  std::vector<std::string> accepted;  // "7 final": sequence and event
  std::vector<std::string> ids;       // their notice ids
  std::uint64_t attempts = 0;
  std::uint64_t permissions_asked = 0;
  std::size_t at_once_max = 0;
  bool two_of_a_partition = false;

  core::Task<Verdict> prepare(core::Deadline) override {
    ++permissions_asked;
    co_return permission ? permission() : Verdict{};
  }
  core::Task<Verdict> send(Delivery delivery, Event event, core::Deadline) override {
    ++attempts;
    two_of_a_partition |= !under_way_.insert(delivery.partition).second;
    at_once_max = std::max(at_once_max, under_way_.size());
    co_await runtime_.sleep(takes);
    under_way_.erase(delivery.partition);
    Verdict said = answer ? answer(delivery, event) : Verdict{};
    if (said.kind == Verdict::Kind::delivered) {
      accepted.push_back(std::to_string(delivery.number) + " " + std::string(to_string(event)));
      ids.push_back(notice_id(delivery, event, "billing"));
    }
    co_return said;
  }
  [[nodiscard]] std::uint32_t notices_per_minute() const override { return rate; }

 private:
  core::Runtime& runtime_;
  std::set<std::uint32_t> under_way_;
};

class DeliveryNotes final : public core::DeliveryObserver {
 public:
  std::uint64_t delivered = 0, failed = 0, missed = 0;
  std::vector<core::ParkedDelivery> parked;
  std::vector<std::string> pauses, troubles;
  std::size_t away = 0, back = 0;

  void on_delivered(const std::string&, core::Duration) override { ++delivered; }
  void on_failed(const std::string&, const core::RecordId&, const Verdict&) override { ++failed; }
  void on_parked(const std::string&, const core::ParkedDelivery& delivery) override {
    parked.push_back(delivery);
  }
  void on_paused(const std::string&, const std::string& reason) override {
    pauses.push_back(reason);
  }
  void on_away(const std::string&, const Verdict* verdict) override {
    ++(verdict != nullptr ? away : back);
  }
  void on_missed(const std::string&, std::uint64_t entries) override { missed += entries; }
  void on_lease(const std::string&, bool) override {}
  void on_trouble(const std::string&, std::string_view doing, const core::Error& error) override {
    troubles.push_back(std::string(doing) + ": " + error.detail);
  }
};

inline core::delivery::Deliverer::Settings deliverer_settings(std::string node, std::string run) {
  using namespace std::chrono_literals;
  core::delivery::Deliverer::Settings settings;
  settings.name = "billing";
  settings.owner = {std::move(node), std::move(run)};
  settings.lease = 9s;
  settings.timeout = 20s;
  settings.poll = 1s;
  settings.course = {.in_hand_max = 8,
                     .parallel = 1,
                     .retry = {.attempts_max = 3, .first = 2s, .longest = 60s},
                     .pause_after = 3};
  return settings;
}

// A node's side: its source and deliverer over what all nodes share.
class DeliveryNode {
 public:
  DeliveryNode(VirtualRuntime& runtime, core::MetadataStore& metadata, core::CursorStore& cursors,
               core::NoticeSender& receiver, core::DeliveryObserver& notes,
               core::delivery::FeedSource::Settings feed,
               core::delivery::Deliverer::Settings settings)
      : window(runtime, metadata),
        source(metadata, window, cursors, std::move(feed)),
        deliverer({runtime, cursors, source, receiver, notes}, std::move(settings)) {}

  core::delivery::FeedWindow window;
  core::delivery::FeedSource source;
  core::delivery::Deliverer deliverer;
};

}  // namespace daybook::tests
