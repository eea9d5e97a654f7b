#include "api/cli_output.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/ioctl.h>
#include <unistd.h>

#include "core/check.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

std::string format(const char* pattern, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

// Three significant digits.
std::string three_digits(double value) {
  if (value < 9.995) return format("%.2f", value);
  if (value < 99.95) return format("%.1f", value);
  return format("%.0f", value);
}

// Bytes of the code point that starts here; 0 where it is none.
std::size_t code_point_bytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80    ? 1
                             : lead >= 0xF0 ? 4
                             : lead >= 0xE0 ? 3
                             : lead >= 0xC2 ? 2
                                            : 0;
  if (length == 0 || length > text.size() || !core::is_utf8(text.substr(0, length))) return 0;
  return length;
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

bool is_terminal(int descriptor) {
  return ::isatty(descriptor) == 1;
}

std::size_t terminal_width(int descriptor) {
  struct winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  constexpr std::array<const char*, 6> kUnits = {" kB", " MB", " GB", " TB", " PB", " EB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return three_digits(value) + kUnits[unit];
}

std::string human_seconds(double seconds) {
  if (seconds < 0.9995) return format("%.0f ms", std::max(0.0, seconds) * 1000);
  if (seconds < 59.95) return format("%.1f s", seconds);
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  const auto two = [](std::uint64_t large, const char* unit, std::uint64_t small,
                      const char* small_unit) {
    std::string text = std::to_string(large) + unit;
    if (small > 0) text += " " + std::to_string(small) + small_unit;
    return text;
  };
  if (whole < 3600) return two(whole / 60, " m", whole % 60, " s");
  if (whole < 86'400) return two(whole / 3600, " h", whole % 3600 / 60, " m");
  return two(whole / 86'400, " d", whole % 86'400 / 3600, " h");
}

std::string human_ratio(std::uint64_t size, std::uint64_t stored_size) {
  if (stored_size == 0) return "-";
  const double ratio = static_cast<double>(size) / static_cast<double>(stored_size);
  return format(ratio < 0.95 ? "%.2f:1" : "%.1f:1", ratio);
}

std::string printable(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    std::size_t length = code_point_bytes(text);
    // C1 control characters (U+0080 to U+009F) steer terminals as well.
    const bool c1 = length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (length == 0 || byte < 0x20 || byte == 0x7F || c1) {
      length = std::max<std::size_t>(1, length);
      for (char c : text.substr(0, length)) {
        std::array<char, 8> escape{};
        std::snprintf(escape.data(), escape.size(), "\\x%02x", static_cast<unsigned char>(c));
        safe += escape.data();
      }
    } else {
      safe += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return safe;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return !is_continuation(c); }));
}

std::string shortened(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::size_t bytes = 0;
  for (std::size_t kept = 0; kept + 1 < columns; ++kept) {
    ++bytes;
    while (bytes < text.size() && is_continuation(text[bytes])) ++bytes;
  }
  return std::string(text.substr(0, bytes)) + "…";
}

void Table::add(std::vector<std::string> cells) {
  CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::render(std::size_t width) const {
  constexpr std::size_t kGap = 2;
  constexpr std::size_t kNarrowest = 8;  // a shrunk column still says something
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t widest = display_width(columns_[i].title);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[i]));
    widths.push_back(widest);
    total += widest + (i == 0 ? 0 : kGap);
  }
  // The widest of the columns that may shrink gives way first.
  while (width > 0 && total > width) {
    std::size_t* widest = nullptr;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!columns_[i].shrinks || widths[i] <= kNarrowest) continue;
      if (widest == nullptr || widths[i] > *widest) widest = &widths[i];
    }
    if (widest == nullptr) break;
    --*widest;
    --total;
  }
  std::string text;
  const auto line = [&](auto cell_of) {
    std::string row;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string cell = shortened(cell_of(i), widths[i]);
      const std::string padding(widths[i] - display_width(cell), ' ');
      row += (i == 0 ? "" : std::string(kGap, ' ')) +
             (columns_[i].right ? padding + cell : cell + padding);
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  };
  line([&](std::size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& row : rows_) line([&](std::size_t i) -> const std::string& { return row[i]; });
  return text;
}

void print(std::string_view text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (written) return;
  if (errno != EPIPE) {
    print_error("daybook: standard output cannot be written: " + std::string(std::strerror(errno)) +
                ".\n");
  }
  std::_Exit(kExitFailed);
}

void print_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace daybook::api
