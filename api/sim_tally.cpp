#include "api/sim_tally.hpp"

#include <algorithm>
#include <iterator>

namespace daybook::api {

std::uint64_t SimTally::highest() const {
  return runs_.empty() ? 0 : runs_.rbegin()->second;
}

std::uint64_t SimTally::lowest() const {
  return runs_.empty() ? 0 : runs_.begin()->first;
}

std::uint64_t SimTally::missing() const {
  if (runs_.empty()) return 0;
  const std::uint64_t first = std::min<std::uint64_t>(lowest(), 1);
  return highest() - first + 1 - distinct_;
}

void SimTally::note(std::uint64_t id) {
  auto after = runs_.upper_bound(id);
  const auto before = after == runs_.begin() ? runs_.end() : std::prev(after);
  if (before != runs_.end() && id <= before->second) {
    ++duplicated_;
    return;
  }
  if (id < highest()) ++late_;
  ++distinct_;
  if (order_.size() < kOrderMax) order_.push_back(id);
  const bool joins_before = before != runs_.end() && before->second + 1 == id;
  std::uint64_t last = id;
  if (after != runs_.end() && after->first == id + 1) {
    last = after->second;
    runs_.erase(after);
  }
  runs_[joins_before ? before->first : id] = last;
}

boost::json::object SimTally::json() const {
  return {{"received", received()},    {"distinct", distinct_}, {"missing", missing()},
          {"duplicated", duplicated_}, {"late", late_},         {"lowest", lowest()},
          {"highest", highest()}};
}

}  // namespace daybook::api
