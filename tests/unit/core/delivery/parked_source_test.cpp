// Operators' notices of parked records: each parking once, over restarts too.
#include "core/delivery/parked_source.hpp"

#include <gtest/gtest.h>

#include "tests/contract/fakes/memory_buffer.hpp"
#include "tests/unit/core/delivery/delivery_world.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using core::delivery::Deliverer;
using core::delivery::ParkedSource;
using Kind = Verdict::Kind;

class ParkedNotices : public testing::Test {
 protected:
  ~ParkedNotices() override {
    for (const auto& one : deliverers_) one->stop();
    runtime_.run_until([this] { return runtime_.tasks() == 0; });
  }

  core::RecordId park() {
    const core::RecordId id = ids_.next(runtime_.now(), 0);
    const core::BufferEntry entry = buffer_.put(id, "no sealed object: it cannot be read");
    park(entry);
    return id;
  }
  void park(const core::BufferEntry& entry) {
    core::ParkedRecord record;
    record.entry = entry;
    record.stage = "archive";
    record.reason = "it is too large";
    record.parked_at = runtime_.now();
    ASSERT_TRUE(runtime_.run(buffer_.park(record, core::SteadyTime::max())));
    runtime_.run_for(1s);
  }
  void start(const std::string& run) {
    sources_.push_back(
        std::make_unique<ParkedSource>(buffer_, cursors_, "billing", core::delivery::Filter()));
    deliverers_.push_back(std::make_unique<Deliverer>(
        Deliverer::Services{runtime_, cursors_, *sources_.back(), receiver_, notes_},
        deliverer_settings("one", run)));
    deliverers_.back()->start();
  }
  std::vector<core::ToldParking> told() {
    return *runtime_.run(cursors_.told("billing", core::SteadyTime::max()));
  }

  VirtualRuntime runtime_;
  MemoryBuffer buffer_{runtime_, std::make_shared<MemoryBufferStore>(), "one"};
  MemoryCursorStore cursors_{runtime_};
  Receiver receiver_{runtime_};
  DeliveryNotes notes_;
  core::RecordIdGenerator ids_;
  std::vector<std::unique_ptr<ParkedSource>> sources_;
  std::vector<std::unique_ptr<Deliverer>> deliverers_;
};

TEST_F(ParkedNotices, each_parking_is_told_once_also_by_the_process_that_follows) {
  park();
  park();
  start("1");
  runtime_.run_until([this] { return receiver_.accepted.size() == 2; });
  const core::RecordId again = park();
  runtime_.run_until([this] { return receiver_.accepted.size() == 3; });
  runtime_.run_for(1min);
  EXPECT_EQ(receiver_.accepted.size(), 3);
  EXPECT_EQ(told().size(), 3);
  deliverers_[0]->stop();
  runtime_.run_until([this] { return runtime_.tasks() == 0; });
  start("2");
  runtime_.run_for(1min);
  EXPECT_EQ(receiver_.accepted.size(), 3);
  // It is replayed, and parked once more: another parking.
  ASSERT_EQ(*runtime_.run(buffer_.unpark({again}, core::SteadyTime::max())), 1);
  runtime_.run_for(1min);
  EXPECT_EQ(told().size(), 2);  // what is over is forgotten
  park(buffer_.store().stream.begin()->second.entry);
  runtime_.run_until([this] { return receiver_.accepted.size() == 4; });
  const std::set<std::string> distinct(receiver_.ids.begin(), receiver_.ids.end());
  EXPECT_EQ(distinct.size(), 4);
  for (const std::string& one : receiver_.accepted) {
    EXPECT_TRUE(one.ends_with(" parked")) << one;
  }
}

TEST_F(ParkedNotices, one_that_is_refused_is_parked_and_redriven_while_the_record_still_is) {
  receiver_.answer = [](const Delivery&, Event) { return verdict(Kind::failed, "status_5xx"); };
  const core::RecordId first = park();
  const core::RecordId second = park();
  start("1");
  runtime_.run_until([this] { return notes_.parked.size() == 2; });
  EXPECT_TRUE(notes_.parked[0].parking.has_value());
  receiver_.answer = nullptr;
  ASSERT_EQ(*runtime_.run(buffer_.unpark({first}, core::SteadyTime::max())), 1);
  ASSERT_EQ(*runtime_.run(cursors_.redrive("billing", std::nullopt, core::SteadyTime::max())), 2);
  runtime_.run_until([this] { return receiver_.accepted.size() == 1; });
  runtime_.run_for(1min);
  EXPECT_EQ(receiver_.accepted.size(), 1);
  EXPECT_EQ(receiver_.ids[0].substr(0, 36), second.str());
  EXPECT_EQ(runtime_.run(cursors_.look("billing", core::SteadyTime::max()))->parked, 0);
}

}  // namespace
}  // namespace daybook::tests
