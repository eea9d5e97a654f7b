// Port: the schema of a metadata store, for the commands that make and look at it (`daybook
// metadata`) and for the doctor. A store itself never changes its schema while it serves, but for
// SQLite's, which makes its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::core {

enum class SchemaState {
  current,  // this program's
  missing,  // there is none yet
  older,    // migrate() brings it up to date
  newer,    // a newer program's; this one must not touch it
  foreign,  // tables of that name are there, and are not ours
};

[[nodiscard]] constexpr std::string_view to_string(SchemaState state) {
  switch (state) {
    case SchemaState::current:
      return "current";
    case SchemaState::missing:
      return "missing";
    case SchemaState::older:
      return "older";
    case SchemaState::newer:
      return "newer";
    case SchemaState::foreign:
      return "foreign";
  }
  return "foreign";
}

struct SchemaStatus {
  SchemaState state = SchemaState::missing;
  std::int64_t version = 0;           // what is there; 0 where none is
  std::int64_t wanted = 0;            // what this program needs
  std::string detail;                 // one sentence: what is wrong and what to do; empty: nothing
  std::optional<std::uint64_t> rows;  // nothing where counting takes too long or is impossible
};

class MetadataSchema {
 public:
  virtual ~MetadataSchema() = default;
  // An error only where the store could not be asked; every state is an answer.
  virtual Task<Result<SchemaStatus>> status(Deadline deadline) = 0;
  // Makes or upgrades the schema, all of it or nothing, and may be repeated. Returns what it did,
  // with dry_run what it would do, one step each; empty: nothing was to be done. Two at once do
  // not clash. A newer or foreign schema is Code::misconfigured.
  virtual Task<Result<std::vector<std::string>>> migrate(bool dry_run, Deadline deadline) = 0;
  [[nodiscard]] virtual std::string describe() const = 0;  // for people
};

}  // namespace daybook::core
