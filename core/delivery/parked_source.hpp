// ParkedSource: a subscriber's deliveries from the buffer's list of parked records. Each parking is
// told once; which were told is kept beside the cursors, for as long as the record stays parked.
#pragma once

#include <set>
#include <string>

#include "core/delivery/filter.hpp"
#include "core/delivery/source.hpp"
#include "core/ports/write_ahead_buffer.hpp"

namespace daybook::core::delivery {

class ParkedSource final : public Source {
 public:
  ParkedSource(WriteAheadBuffer& buffer, CursorStore& cursors, std::string name, Filter filter)
      : buffer_(buffer), cursors_(cursors), name_(std::move(name)), filter_(std::move(filter)) {}

  Task<Result<std::uint64_t>> begin(SubscriberRecord kept, std::uint64_t fence,
                                    Deadline deadline) override;
  Task<Result<Page>> read(std::uint64_t after, std::size_t max, Deadline deadline) override;
  Task<Result<std::optional<Delivery>>> recall(ParkedDelivery parked, Deadline deadline) override;
  void finished(const Delivery& delivery) override;
  [[nodiscard]] bool unsaved(std::uint64_t /*cursor*/) const override {
    return !to_tell_.empty() || !to_forget_.empty();
  }
  Task<Result<void>> save(std::uint64_t fence, std::uint64_t cursor, Deadline deadline) override;
  [[nodiscard]] std::uint64_t lag(std::uint64_t /*cursor*/) const override { return untold_; }

 private:
  Task<Delivery> describe(ParkedRecord record, Deadline deadline);
  void forget_others(const std::set<ToldParking>& parked);

  WriteAheadBuffer& buffer_;
  CursorStore& cursors_;
  std::string name_;
  Filter filter_;
  std::set<ToldParking> told_;     // all that are known to be told, saved or not
  std::set<ToldParking> in_hand_;  // given out, not finished
  std::set<ToldParking> passed_;   // of no interest to the filter
  std::vector<ToldParking> to_tell_, to_forget_;
  std::uint64_t untold_ = 0;
};

}  // namespace daybook::core::delivery
