// Health: what Daybook depends on, each with its state and the sentence that says what to do.
// "Required" dependencies decide whether records are accepted; the others only delay the archive,
// because an acknowledged record waits safely in the buffer. A buffer that is away is not required
// while the spool has room; one with wrong settings is, because somebody has to mend it. So is an
// object store that cannot give the locks or the encryption that the settings promise.
// I/O thread only.
#pragma once

#include <string>
#include <vector>

#include "api/metrics.hpp"
#include "core/config.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "storage/spool.hpp"
#include "storage/trail.hpp"

namespace daybook::api {

struct Check {
  std::string name;  // buffer | trail | spool | disk | object_store | metadata
  bool ok = false;
  bool required = false;
  std::string detail;  // when not ok: what is wrong and how it is mended
};

class Health {
 public:
  struct Services {
    core::Runtime& runtime;
    core::WriteAheadBuffer& buffer;
    storage::Trail* trail;  // null where this process takes no records, as is spool
    storage::Spool* spool;
    core::ObjectStore& objects;
    core::MetadataStore& metadata;
    Metrics& metrics;
  };
  Health(Services services, const core::Config& config);

  core::Task<> run();  // probes again and again until close()
  void close();

  // Beside the buffer's own health: disk reserve and trail.
  [[nodiscard]] core::Result<void> admission() const;
  [[nodiscard]] std::vector<Check> checks() const;
  [[nodiscard]] bool ready() const;
  [[nodiscard]] std::uint64_t disk_free() const { return disk_free_; }

 private:
  [[nodiscard]] bool spool_stands_in() const;
  [[nodiscard]] int probe_every() const;
  void look_at_disk();
  void publish();

  Services services_;
  const core::Config& config_;
  std::unique_ptr<core::Signal> stop_;
  std::uint64_t disk_free_ = 0;
  core::Result<void> disk_;
  core::Result<void> objects_;
  core::Result<void> metadata_;
  bool closing_ = false;
};

}  // namespace daybook::api
