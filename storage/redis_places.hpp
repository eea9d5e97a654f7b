// RedisPlaces: where the pollers stand, in the buffer's Redis. All of one poller is under one hash
// tag, {<prefix>:poller:<name>}, and every step is one script:
// - :lease  string "node run", expires with the lease
// - :state  hash fence, place, report
// I/O thread only.
#pragma once

#include <string>

#include "core/ports/place_store.hpp"
#include "storage/redis_router.hpp"

namespace daybook::storage {

class RedisPlaces final : public core::PlaceStore {
 public:
  RedisPlaces(io::IoRuntime& runtime, RedisTarget server, std::string prefix)
      : prefix_(std::move(prefix)), router_(runtime, std::move(server), {}) {}

  core::Task<core::Result<core::PlaceClaim>> claim(std::string poller, core::PlaceHolder holder,
                                                   core::Duration lease, std::string report,
                                                   core::Deadline deadline) override;
  core::Task<core::Result<void>> save(std::string poller, std::uint64_t fence, std::string place,
                                      core::Deadline deadline) override;
  core::Task<core::Result<void>> give_up(std::string poller, core::PlaceHolder holder,
                                         core::Deadline deadline) override;
  core::Task<core::Result<void>> reset(std::string poller, std::string place,
                                       core::Deadline deadline) override;

 private:
  // The script on both keys of a poller.
  core::Task<core::Result<core::resp::Reply>> run(std::string_view script, std::string poller,
                                                  std::vector<std::string> arguments,
                                                  core::Deadline deadline);

  const std::string prefix_;
  RedisRouter router_;
};

}  // namespace daybook::storage
