// Auditor: every audit.interval reads one archived object back and compares its bytes with what its
// row says. Which one is random, evenly over the time that the archive covers. One object at a
// time, so it costs no more than one reader. I/O thread only.
#pragma once

#include <memory>
#include <random>
#include <string>

#include "api/metrics.hpp"
#include "core/config.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"

namespace daybook::api {

class Auditor {
 public:
  struct Services {
    core::Runtime& runtime;
    core::Workers& workers;
    core::ObjectStore& objects;
    core::MetadataStore& metadata;
    Metrics& metrics;
  };
  Auditor(Services services, const core::Config& config);

  core::Task<> run();  // until close()
  void close();

 private:
  core::Task<core::Result<std::optional<core::MetadataRow>>> pick();
  core::Task<core::Result<void>> audit_one();

  Services services_;
  const core::Config& config_;
  std::unique_ptr<core::Signal> stop_;
  std::mt19937_64 random_{std::random_device{}()};
  bool closing_ = false;
};

}  // namespace daybook::api
