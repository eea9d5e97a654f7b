// Any text as an envelope: what is read must be written and read again as the same.
#include "core/envelope.hpp"

#include "core/check.hpp"

using namespace daybook::core;  // NOLINT: one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto envelope = envelope_from_json(as_text(std::as_bytes(std::span(data, size))));
  if (!envelope) {
    CHECK(!envelope.error().detail.empty());
    return 0;
  }
  const std::string json = to_json(*envelope);
  const auto again = envelope_from_json(json);
  CHECK(again.has_value());
  CHECK(*again == *envelope);
  CHECK(!object_key(*envelope, "archive").empty());
  return 0;
}
