// SimTally: which of the numbered messages came, how often, and whether in order. The numbers of a
// source are 1, 2, 3, …, so that a loss shows without asking the source; they begin with 0 where
// that came, as from the original's source. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <boost/json.hpp>

namespace daybook::api {

class SimTally {
 public:
  void note(std::uint64_t id);

  [[nodiscard]] std::uint64_t received() const { return distinct_ + duplicated_; }
  [[nodiscard]] std::uint64_t distinct() const { return distinct_; }
  [[nodiscard]] std::uint64_t duplicated() const { return duplicated_; }
  [[nodiscard]] std::uint64_t highest() const;
  [[nodiscard]] std::uint64_t lowest() const;
  // Numbers up to the highest one that never came.
  [[nodiscard]] std::uint64_t missing() const;
  // Messages that came for the first time after a higher number had come.
  [[nodiscard]] std::uint64_t late() const { return late_; }
  // The numbers in the order in which they came first, up to kOrderMax of them.
  [[nodiscard]] const std::vector<std::uint64_t>& order() const { return order_; }
  // All but the order.
  [[nodiscard]] boost::json::object json() const;
  static constexpr std::size_t kOrderMax = 10'000;

 private:
  std::map<std::uint64_t, std::uint64_t> runs_;  // first -> last, of numbers that came
  std::vector<std::uint64_t> order_;
  std::uint64_t distinct_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t late_ = 0;
};

}  // namespace daybook::api
