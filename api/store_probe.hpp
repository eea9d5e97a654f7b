// Asks the object store of a configuration, before anything serves, whether it can be used and what
// it honours; start-up and `daybook doctor` ask in the same way, through the store that serve uses.
#pragma once

#include <string>
#include <vector>

#include "api/aws_setup.hpp"
#include "core/config.hpp"
#include "core/ports/object_store.hpp"

namespace daybook::api {

struct StoreReport {
  std::string store;           // for people
  core::Result<void> verdict;  // of ObjectStore::probe
  std::vector<core::StoreFact> facts;
};

// Blocks for up to 10 s, on a runtime of its own; io::probe_backend must have succeeded.
[[nodiscard]] StoreReport probe_object_store(const core::Config& config, AwsEvents events = {});

}  // namespace daybook::api
