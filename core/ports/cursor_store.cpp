#include "core/ports/cursor_store.hpp"

namespace daybook::core {

std::string ParkedDelivery::key() const {
  if (!parking) return id.str();
  return id.str() + "_" + std::to_string(parking->time_since_epoch().count());
}

}  // namespace daybook::core
