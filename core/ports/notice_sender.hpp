// Port: the way to one subscriber. Adapter: api/webhook_sender.
#pragma once

#include "core/delivery/notice.hpp"
#include "core/delivery/verdict.hpp"
#include "core/task.hpp"

namespace daybook::core {

class NoticeSender {
 public:
  virtual ~NoticeSender() = default;
  // Before anything is sent, and again after a pause: asks for the permission to send where the
  // subscriber gives one. delivered: go on; away: ask again later.
  virtual Task<delivery::Verdict> prepare(Deadline deadline) = 0;
  // One attempt at one notice. May be repeated with the same notice.
  virtual Task<delivery::Verdict> send(delivery::Delivery delivery, delivery::Event event,
                                       Deadline deadline) = 0;
  // What the subscriber allowed when it was asked; 0 = any number.
  [[nodiscard]] virtual std::uint32_t notices_per_minute() const { return 0; }
};

}  // namespace daybook::core
