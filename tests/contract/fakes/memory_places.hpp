// PlaceStore in memory, on the clock of a runtime.
#pragma once

#include <map>
#include <string>

#include "core/ports/place_store.hpp"
#include "core/ports/runtime.hpp"

namespace daybook::tests {

class MemoryPlaces final : public core::PlaceStore {
 public:
  explicit MemoryPlaces(core::Runtime& runtime) : runtime_(runtime) {}

  struct Kept {
    std::string node, run, place, report;
    std::uint64_t fence = 0;
    core::SteadyTime until{};
  };
  std::map<std::string, Kept> kept;
  bool away = false;      // every call fails
  std::size_t saves = 0;  // that succeeded

  core::Task<core::Result<core::PlaceClaim>> claim(std::string poller, core::PlaceHolder holder,
                                                   core::Duration lease, std::string report,
                                                   core::Deadline /*deadline*/) override {
    if (away) co_return outage();
    Kept& one = kept[poller];
    const bool held = !one.node.empty() && runtime_.steady_now() < one.until;
    core::PlaceClaim claim;
    claim.granted = !held || one.node == holder.node;
    if (claim.granted) {
      if (!held || one.run != holder.run) ++one.fence;
      one.node = holder.node;
      one.run = holder.run;
      one.until = runtime_.steady_now() + lease;
      one.report = std::move(report);
    }
    claim.fence = one.fence;
    claim.holder = one.node;
    claim.place = one.place;
    claim.report = one.report;
    co_return claim;
  }
  core::Task<core::Result<void>> save(std::string poller, std::uint64_t fence, std::string place,
                                      core::Deadline /*deadline*/) override {
    if (away) co_return outage();
    Kept& one = kept[poller];
    if (fence != one.fence) {
      co_return core::fail(core::Code::conflict, core::Origin::buffer, core::Retry::never,
                           "fenced");
    }
    one.place = std::move(place);
    ++saves;
    co_return core::Result<void>{};
  }
  core::Task<core::Result<void>> give_up(std::string poller, core::PlaceHolder holder,
                                         core::Deadline /*deadline*/) override {
    Kept& one = kept[poller];
    if (one.node == holder.node && one.run == holder.run) one.until = {};
    co_return core::Result<void>{};
  }
  core::Task<core::Result<void>> reset(std::string poller, std::string place,
                                       core::Deadline /*deadline*/) override {
    Kept& one = kept[poller];
    ++one.fence;
    one.place = std::move(place);
    co_return core::Result<void>{};
  }

 private:
  static core::Failure outage() {
    return core::fail(core::Code::unavailable, core::Origin::buffer, core::Retry::safe, "away");
  }
  core::Runtime& runtime_;
};

}  // namespace daybook::tests
