// Port: where each poller stands in its source, and which node polls it. Adapter:
// storage/redis_places. Contract:
// - At most one holder has a poller's lease. Each new holder gets a higher fence; whoever saves
//   with an older one is Code::conflict and changes nothing.
// - A place that save() has answered for is as durable as the buffer. Losing it costs polls that
//   begin again at the start, and no record.
// Errors have origin buffer.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::core {

// Who polls: a node, and which of its processes.
struct PlaceHolder {
  std::string node;
  std::string run;  // unlike that of any earlier process of this node; both without spaces
};

struct PlaceClaim {
  bool granted = false;
  std::uint64_t fence = 0;  // when granted
  std::string holder;       // the node that has the lease
  std::string place;        // what was saved last; empty: nothing
  std::string report;       // what the holder says of itself, for status; JSON or empty
};

class PlaceStore {
 public:
  virtual ~PlaceStore() = default;
  // Takes the lease where nobody has it or an earlier run of this node has, or renews it; report is
  // kept when it is granted. Not granted: another node has it. Either way what is kept comes along.
  virtual Task<Result<PlaceClaim>> claim(std::string poller, PlaceHolder holder, Duration lease,
                                         std::string report, Deadline deadline) = 0;
  virtual Task<Result<void>> save(std::string poller, std::uint64_t fence, std::string place,
                                  Deadline deadline) = 0;
  virtual Task<Result<void>> give_up(std::string poller, PlaceHolder holder, Deadline deadline) = 0;
  // By command, whoever has the lease: the place is this from now on. The holder's next save is a
  // conflict, and it begins here.
  virtual Task<Result<void>> reset(std::string poller, std::string place, Deadline deadline) = 0;
};

}  // namespace daybook::core
