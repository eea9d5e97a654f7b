#include "core/delivery/notice.hpp"

namespace daybook::core::delivery {

std::optional<Event> parse_event(std::string_view word) {
  for (const Event event : kEvents) {
    if (word == to_string(event)) return event;
  }
  return std::nullopt;
}

std::string notice_id(const Delivery& delivery, Event event, std::string_view subscriber) {
  std::string id = delivery.id.str() + "_" + std::string(to_string(event));
  // A record that is parked again is another notice.
  if (delivery.parked) {
    id += std::to_string(delivery.parked->parked_at.time_since_epoch().count());
  }
  return id + "_" + std::string(subscriber);
}

WallTime notice_time(const Delivery& delivery, Event event) {
  if (delivery.parked) return delivery.parked->parked_at;
  const MetadataRow& row = *delivery.row;
  if (event == Event::started) return row.started_at.value_or(row.indexed_at);
  if (event == Event::archived) return row.archived_at.value_or(row.indexed_at);
  return row.indexed_at;
}

}  // namespace daybook::core::delivery
