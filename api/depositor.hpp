// Depositor: the way in for a record that is in memory already: an element of a batch, what a
// poller fetched. The same limits, keys, ladder and trail as a body that arrives over HTTP, and the
// same meaning of the answer. Ingest implements it. I/O thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/envelope.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "core/result.hpp"
#include "core/task.hpp"

namespace daybook::api {

struct Deposit {
  core::Envelope envelope;  // tenant, attributes, content type and context; the rest is made here
  std::optional<core::IdempotencyKey> key;
  std::optional<core::Sha256> expected;  // of the payload
  core::Bytes payload;                   // the caller keeps the bytes alive until the answer
  std::string peer;  // whose share of memory it takes: an address, or "poller:NAME"
  // Called when the record has its id, if it gets that far: one deposited later has a later id.
  std::function<void()> on_identified;
};

struct Deposited {
  bool first = true;  // false: its key was known, and this is the first receipt again
  core::RecordId id;
  std::string receipt;  // JSON, as POST /v1/records answers it
};

class Depositor {
 public:
  virtual ~Depositor() = default;
  // When it succeeds the record is safe. Errors as POST /v1/records answers them.
  virtual core::Task<core::Result<Deposited>> deposit(Deposit deposit) = 0;
};

}  // namespace daybook::api
