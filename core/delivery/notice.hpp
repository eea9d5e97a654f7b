// A notice: what a subscriber is told about a record. Each record has several in a fixed order, one
// for each step that it has behind it; all are told after its row is committed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "core/ports/write_ahead_buffer.hpp"

namespace daybook::core::delivery {

// In the order in which they are told. Parked records have a notice of their own and no other: they
// are never told of as if they were done.
enum class Event : std::uint8_t { started, archived, indexed, final, parked };

inline constexpr std::array kEvents = {Event::started, Event::archived, Event::indexed,
                                       Event::final, Event::parked};

[[nodiscard]] constexpr std::string_view to_string(Event event) {
  switch (event) {
    case Event::started:
      return "started";
    case Event::archived:
      return "archived";
    case Event::indexed:
      return "indexed";
    case Event::final:
      return "final";
    case Event::parked:
      return "parked";
  }
  return "final";
}
[[nodiscard]] std::optional<Event> parse_event(std::string_view word);

// One record and what a subscriber is still to be told of it, in order.
struct Delivery {
  std::uint64_t number = 0;  // the feed's sequence; of parked records, in the order they were found
  RecordId id;
  std::uint32_t partition = 0;
  std::vector<Event> due;   // empty: nothing, it is passed over
  WallTime published_at{};  // when the feed had it; of parked records, when parked
  // Shared by all who tell of it; null only where nothing is due. Of a parked record: what the
  // buffer knows of it.
  std::shared_ptr<const MetadataRow> row;
  std::optional<ParkedRecord> parked;  // with Event::parked
};

// Names one notice to one subscriber, and stays the same however often it is sent: receivers know a
// repetition by it. No '.', which separates what a signature covers.
[[nodiscard]] std::string notice_id(const Delivery& delivery, Event event,
                                    std::string_view subscriber);
// When it happened. A row that was made anew does not know its earlier steps; then when it was
// indexed.
[[nodiscard]] WallTime notice_time(const Delivery& delivery, Event event);

}  // namespace daybook::core::delivery
