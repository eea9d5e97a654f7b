// What the command line shows to people: figures, aligned tables, and texts from records made safe
// for a terminal (a subject may hold escape sequences). Pure but for the two questions about
// terminals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace daybook::api {

// Documented in --help.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

[[nodiscard]] bool is_terminal(int descriptor);
[[nodiscard]] std::size_t terminal_width(int descriptor);  // 80 where it is unknown

// "4.19 MB", "451 kB", "12 B": powers of 1000, three digits.
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
// "350 ms", "12.4 s", "3 m 20 s", "2 h 5 m", "4 d 3 h".
[[nodiscard]] std::string human_seconds(double seconds);
// "9.3:1"; "-" where nothing was stored.
[[nodiscard]] std::string human_ratio(std::uint64_t size, std::uint64_t stored_size);

// Control bytes and invalid UTF-8 become visible \xNN.
[[nodiscard]] std::string printable(std::string_view text);
// Terminal columns of printable text: its code points.
[[nodiscard]] std::size_t display_width(std::string_view text);
// At most `columns` wide; what is cut off is shown by "…".
[[nodiscard]] std::string shortened(std::string_view text, std::size_t columns);

// Left- or right-aligned columns with two spaces between. Cells are made printable.
class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;
    bool shrinks = false;  // may be cut where the terminal is too narrow
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);  // one per column
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // width 0: as wide as it needs to be.
  [[nodiscard]] std::string render(std::size_t width) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Writes to stdout / stderr now. Where standard output takes no more (`| head`, a full disk), print
// ends the process with kExitFailed: there is nobody left to work for.
void print(std::string_view text);
void print_error(std::string_view text);

}  // namespace daybook::api
