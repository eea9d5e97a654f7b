// A progress bar on standard error, only where that is a terminal. One line, redrawn at most ten
// times a second, as wide as the terminal is at that moment. One thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/units.hpp"

namespace daybook::api {

struct Progress {
  std::uint64_t files_done = 0;
  std::uint64_t files_total = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;  // 0: not known
  double seconds = 0;             // since the start
};

// "[#######-----]  42%  12.6/30.1 MB …", at most `width` columns; what does not fit is left out,
// the bar first.
[[nodiscard]] std::string render_progress(const Progress& progress, std::size_t width);

class ProgressBar {
 public:
  explicit ProgressBar(bool wanted);
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void draw(const Progress& progress);  // does nothing where the last drawing is too recent
  void clear();                         // before other output

 private:
  bool shown_ = false;
  const bool wanted_;
  core::SteadyTime last_{};
};

}  // namespace daybook::api
