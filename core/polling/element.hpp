// One element of a poller's answer as a record: attributes, and the key by which it is known when
// it comes again. Pure.
#pragma once

#include <string>

#include "core/envelope.hpp"
#include "core/polling/rules.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "core/result.hpp"

namespace daybook::core::polling {

struct PolledRecord {
  Envelope envelope;  // tenant, attributes, content type, context, idempotency key
  IdempotencyKey key;
};

// Errors say what of the element is not fit, and are never a matter of trying again.
[[nodiscard]] Result<PolledRecord> record_of(const ElementRules& rules, Bytes element,
                                             const Sha256& digest, bool is_json,
                                             std::string_view content_type);

// The key of an element that came before with the same id and other bytes: it is kept as well.
[[nodiscard]] IdempotencyKey key_of_change(const IdempotencyKey& key, const Sha256& digest);

}  // namespace daybook::core::polling
