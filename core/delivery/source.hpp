// Source: where a subscriber's deliveries come from, and how far it has been told. I/O thread only;
// one Deliverer uses it.
#pragma once

#include <optional>
#include <vector>

#include "core/delivery/notice.hpp"
#include "core/ports/cursor_store.hpp"
#include "core/task.hpp"

namespace daybook::core::delivery {

class Source {
 public:
  struct Page {
    std::vector<Delivery> deliveries;  // ascending; with nothing due: passed over
    bool more = false;                 // reading on at once will give more
    std::uint64_t missed = 0;          // entries that are no longer there
  };
  virtual ~Source() = default;
  // After the lease was taken: the number to read on from. What it decides there is durable.
  virtual Task<Result<std::uint64_t>> begin(SubscriberRecord kept, std::uint64_t fence,
                                            Deadline deadline) = 0;
  virtual Task<Result<Page>> read(std::uint64_t after, std::size_t max, Deadline deadline) = 0;
  // What was parked, with what is due of it; nothing where that is over.
  virtual Task<Result<std::optional<Delivery>>> recall(ParkedDelivery parked,
                                                       Deadline deadline) = 0;
  // It was delivered or parked, and the first time.
  virtual void finished(const Delivery& delivery) = 0;
  // Whether save() has something to do when everything up to cursor is done.
  [[nodiscard]] virtual bool unsaved(std::uint64_t cursor) const = 0;
  virtual Task<Result<void>> save(std::uint64_t fence, std::uint64_t cursor, Deadline deadline) = 0;
  // How many are behind the cursor, as far as is known without asking.
  [[nodiscard]] virtual std::uint64_t lag(std::uint64_t cursor) const = 0;
};

}  // namespace daybook::core::delivery
