#include "api/progress_bar.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include <unistd.h>

#include "api/cli_output.hpp"

namespace daybook::api {
namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr std::size_t kBarWidthMin = 8;
constexpr std::size_t kBarWidthMax = 40;

}  // namespace

std::string render_progress(const Progress& progress, std::size_t width) {
  const double bytes = static_cast<double>(progress.bytes_done);
  const double share =
      progress.bytes_total == 0
          ? 0
          : std::clamp(bytes / static_cast<double>(progress.bytes_total), 0.0, 1.0);
  std::array<char, 16> percent{};
  std::snprintf(percent.data(), percent.size(), "%3d%%", static_cast<int>(share * 100));

  // Parts in the order in which they are worth their place.
  std::string text = progress.bytes_total == 0 ? "" : percent.data();
  const auto append = [&](const std::string& part) {
    const std::string gap = text.empty() ? "" : "  ";
    if (display_width(text) + gap.size() + part.size() <= width) text += gap + part;
  };
  append(human_bytes(progress.bytes_done) +
         (progress.bytes_total == 0 ? "" : " of " + human_bytes(progress.bytes_total)));
  append(std::to_string(progress.files_done) + "/" + std::to_string(progress.files_total) +
         (progress.files_total == 1 ? " file" : " files"));
  const double rate = progress.seconds > 0 ? bytes / progress.seconds : 0;
  if (rate > 0) {
    append(human_bytes(static_cast<std::uint64_t>(rate)) + "/s");
    if (progress.bytes_total > progress.bytes_done) {
      append("ETA " + human_seconds((static_cast<double>(progress.bytes_total) - bytes) / rate));
    }
  }
  const std::size_t used = display_width(text) + 3;  // brackets and a space
  if (progress.bytes_total > 0 && width >= used + kBarWidthMin) {
    const std::size_t bar = std::min(width - used, kBarWidthMax);
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(bar));
    text = "[" + std::string(filled, '#') + std::string(bar - filled, '-') + "] " + text;
  }
  return shortened(text, width);
}

ProgressBar::ProgressBar(bool wanted) : wanted_(wanted && is_terminal(STDERR_FILENO)) {}

void ProgressBar::draw(const Progress& progress) {
  if (!wanted_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < kRedrawInterval) return;
  last_ = now;
  // The last column stays free: some terminals wrap when it is written to.
  print_error("\r" + render_progress(progress, terminal_width(STDERR_FILENO) - 1) + "\x1b[K");
  shown_ = true;
}

void ProgressBar::clear() {
  if (!shown_) return;
  print_error("\r\x1b[K");
  shown_ = false;
  last_ = {};
}

}  // namespace daybook::api
