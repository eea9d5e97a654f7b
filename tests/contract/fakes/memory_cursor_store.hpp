// MemoryCursorStore: the cursor store port in memory. Several nodes may share one; it can be away.
// One thread.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/ports/cursor_store.hpp"
#include "core/ports/runtime.hpp"

namespace daybook::tests {

class MemoryCursorStore final : public core::CursorStore {
 public:
  explicit MemoryCursorStore(core::Runtime& clock) : clock_(clock) {}

  bool away = false;  // every call fails
  std::uint64_t saves = 0;

  // As if the server had been emptied.
  void forget_everything() { subscribers_.clear(); }

  core::Task<core::Result<core::SubscriberClaim>> claim(std::string name,
                                                        core::SubscriberOwner owner,
                                                        core::Duration lease, std::string report,
                                                        core::Deadline) override {
    if (away) co_return failed();
    Kept& kept = subscribers_[name];
    const bool free = clock_.steady_now() >= kept.until || kept.owner.node.empty();
    const bool same = kept.owner.node == owner.node && kept.owner.run == owner.run;
    core::SubscriberClaim claim;
    const std::string reported = kept.record.report;
    if (free || kept.owner.node == owner.node) {
      if (free || !same) ++kept.fence;
      kept.owner = owner;
      kept.until = clock_.steady_now() + lease;
      kept.record.report = report;
      claim.granted = true;
    }
    claim.fence = kept.fence;
    claim.record = seen(kept);
    claim.record.report = reported;
    co_return claim;
  }
  core::Task<core::Result<void>> give_up(std::string name, core::SubscriberOwner owner,
                                         core::Deadline) override {
    if (away) co_return failed();
    Kept& kept = subscribers_[name];
    if (kept.owner.node == owner.node && kept.owner.run == owner.run) kept.owner = {};
    co_return core::Result<void>{};
  }
  core::Task<core::Result<core::SubscriberRecord>> look(std::string name, core::Deadline) override {
    if (away) co_return failed();
    co_return seen(subscribers_[name]);
  }
  core::Task<core::Result<void>> save(std::string name, std::uint64_t fence,
                                      core::FeedCursor cursor, core::Deadline) override {
    Kept& kept = subscribers_[name];
    if (auto good = may_write(kept, fence); !good) co_return good;
    ++saves;
    kept.record.cursor = std::move(cursor);
    co_return core::Result<void>{};
  }
  core::Task<core::Result<void>> park(std::string name, std::uint64_t fence,
                                      core::ParkedDelivery delivery, core::Deadline) override {
    Kept& kept = subscribers_[name];
    if (auto good = may_write(kept, fence); !good) co_return good;
    delivery.redriving = false;
    kept.parked[delivery.key()] = std::move(delivery);
    co_return core::Result<void>{};
  }
  core::Task<core::Result<void>> unpark(std::string name, std::uint64_t fence, std::string key,
                                        core::Deadline) override {
    Kept& kept = subscribers_[name];
    if (auto good = may_write(kept, fence); !good) co_return good;
    kept.parked.erase(key);
    co_return core::Result<void>{};
  }
  core::Task<core::Result<void>> tell(std::string name, std::uint64_t fence,
                                      std::vector<core::ToldParking> told,
                                      std::vector<core::ToldParking> forgotten,
                                      core::Deadline) override {
    Kept& kept = subscribers_[name];
    if (auto good = may_write(kept, fence); !good) co_return good;
    kept.told.insert(told.begin(), told.end());
    for (const core::ToldParking& one : forgotten) kept.told.erase(one);
    co_return core::Result<void>{};
  }
  core::Task<core::Result<std::vector<core::ToldParking>>> told(std::string name,
                                                                core::Deadline) override {
    if (away) co_return failed();
    const auto& told = subscribers_[name].told;
    co_return std::vector<core::ToldParking>(told.begin(), told.end());
  }
  core::Task<core::Result<std::vector<core::ParkedDelivery>>> redrives(std::string name,
                                                                       std::size_t max,
                                                                       core::Deadline) override {
    if (away) co_return failed();
    co_return listed(subscribers_[name], max, true);
  }
  core::Task<core::Result<void>> pause(std::string name, core::SubscriberPause pause,
                                       core::Deadline) override {
    if (away) co_return failed();
    subscribers_[name].record.pause = std::move(pause);
    co_return core::Result<void>{};
  }
  core::Task<core::Result<void>> resume(std::string name, core::Deadline) override {
    if (away) co_return failed();
    subscribers_[name].record.pause.reset();
    co_return core::Result<void>{};
  }
  core::Task<core::Result<std::vector<core::ParkedDelivery>>> parked(std::string name,
                                                                     std::size_t max,
                                                                     core::Deadline) override {
    if (away) co_return failed();
    co_return listed(subscribers_[name], max, false);
  }
  core::Task<core::Result<std::uint64_t>> redrive(std::string name,
                                                  std::optional<core::RecordId> id,
                                                  core::Deadline) override {
    if (away) co_return failed();
    std::uint64_t marked = 0;
    for (auto& [key, delivery] : subscribers_[name].parked) {
      if (id && delivery.id != *id) continue;
      delivery.redriving = true;
      ++marked;
    }
    co_return marked;
  }
  core::Task<core::Result<std::uint64_t>> drop(std::string name, core::RecordId id,
                                               core::Deadline) override {
    if (away) co_return failed();
    co_return std::erase_if(subscribers_[name].parked,
                            [&id](const auto& one) { return one.second.id == id; });
  }

 private:
  struct Kept {
    core::SubscriberOwner owner;
    core::SteadyTime until{};
    std::uint64_t fence = 0;
    core::SubscriberRecord record;
    std::map<std::string, core::ParkedDelivery> parked;
    std::set<core::ToldParking> told;
  };

  static core::Failure failed() {
    return core::fail(core::Code::unavailable, core::Origin::buffer, core::Retry::safe, "away");
  }
  [[nodiscard]] core::Result<void> may_write(const Kept& kept, std::uint64_t fence) const {
    if (away) return failed();
    if (kept.fence == fence) return {};
    return core::fail(core::Code::conflict, core::Origin::buffer, core::Retry::never, "old fence");
  }
  [[nodiscard]] core::SubscriberRecord seen(const Kept& kept) const {
    core::SubscriberRecord record = kept.record;
    record.holder = clock_.steady_now() < kept.until ? kept.owner.node : "";
    record.parked = kept.parked.size();
    record.redriving = static_cast<std::uint64_t>(
        std::ranges::count_if(kept.parked, [](const auto& one) { return one.second.redriving; }));
    return record;
  }
  static std::vector<core::ParkedDelivery> listed(const Kept& kept, std::size_t max,
                                                  bool only_redriving) {
    std::vector<core::ParkedDelivery> found;
    for (const auto& [key, delivery] : kept.parked) {
      if (!only_redriving || delivery.redriving) found.push_back(delivery);
    }
    std::ranges::sort(found, {}, [](const core::ParkedDelivery& one) {
      return std::pair(one.number, one.key());
    });
    if (found.size() > max) found.resize(max);
    return found;
  }

  core::Runtime& clock_;
  std::map<std::string, Kept> subscribers_;
};

}  // namespace daybook::tests
