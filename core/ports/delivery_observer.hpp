// Port: what the delivery to subscribers tells the world (metrics, logs). I/O thread only.
#pragma once

#include <string>

#include "core/delivery/notice.hpp"
#include "core/delivery/verdict.hpp"
#include "core/ports/cursor_store.hpp"

namespace daybook::core {

class DeliveryObserver {
 public:
  virtual ~DeliveryObserver() = default;
  virtual void on_delivered(const std::string& subscriber, Duration took) = 0;
  // id: of the record; all zero where the permission to send was asked for.
  virtual void on_failed(const std::string& subscriber, const RecordId& id,
                         const delivery::Verdict& verdict) = 0;
  virtual void on_parked(const std::string& subscriber, const ParkedDelivery& delivery) = 0;
  virtual void on_paused(const std::string& subscriber, const std::string& reason) = 0;
  // Takes nothing now (verdict), or takes notices again (null).
  virtual void on_away(const std::string& subscriber, const delivery::Verdict* verdict) = 0;
  // Entries that the feed no longer has were never delivered.
  virtual void on_missed(const std::string& subscriber, std::uint64_t entries) = 0;
  // This node delivers from now on, or no longer does.
  virtual void on_lease(const std::string& subscriber, bool held) = 0;
  // Something else went wrong; what was tried is tried again.
  virtual void on_trouble(const std::string& subscriber, std::string_view doing,
                          const Error& error) = 0;
};

}  // namespace daybook::core
