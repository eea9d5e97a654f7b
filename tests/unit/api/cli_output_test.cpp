// What people see: figures, tables, progress; and that a record's text cannot steer a terminal.
#include "api/cli_output.hpp"

#include <gtest/gtest.h>

#include "api/progress_bar.hpp"

namespace daybook::api {
namespace {

TEST(CliOutput, bytes_are_shown_with_three_digits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.00 kB");
  EXPECT_EQ(human_bytes(451'234), "451 kB");
  EXPECT_EQ(human_bytes(999'499), "999 kB");
  EXPECT_EQ(human_bytes(999'600), "1.00 MB");
  EXPECT_EQ(human_bytes(4'194'304), "4.19 MB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "18.4 EB");
}

TEST(CliOutput, durations_use_the_two_largest_units) {
  EXPECT_EQ(human_seconds(0.0124), "12 ms");
  EXPECT_EQ(human_seconds(12.44), "12.4 s");
  EXPECT_EQ(human_seconds(60), "1 m");
  EXPECT_EQ(human_seconds(200), "3 m 20 s");
  EXPECT_EQ(human_seconds(7500), "2 h 5 m");
  EXPECT_EQ(human_seconds(4 * 86'400 + 3 * 3600), "4 d 3 h");
  EXPECT_EQ(human_seconds(-1), "0 ms");
}

TEST(CliOutput, a_ratio_of_nothing_is_a_dash) {
  EXPECT_EQ(human_ratio(93, 10), "9.3:1");
  EXPECT_EQ(human_ratio(93, 0), "-");
  EXPECT_EQ(human_ratio(3, 351), "0.01:1");
}

TEST(CliOutput, control_bytes_and_bad_utf8_cannot_reach_the_terminal) {
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(printable("\x1b[2Jx\n"), "\\x1b[2Jx\\x0a");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");  // C1 CSI
  EXPECT_EQ(printable("a\xff\xc3"), "a\\xff\\xc3");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
}

TEST(CliOutput, shortening_counts_characters_not_bytes) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "ab…");
  EXPECT_EQ(shortened("äöüß", 3), "äö…");
  EXPECT_EQ(shortened("abc", 0), "");
}

TEST(CliOutput, a_table_aligns_and_gives_way_where_it_may) {
  Table table({{"ID"}, {"SIZE", true}, {"SUBJECT", false, true}});
  table.add({"a", "1 B", "an account was opened"});
  table.add({"bb", "12 kB", "x"});
  EXPECT_EQ(table.render(0),
            "ID   SIZE  SUBJECT\n"
            "a     1 B  an account was opened\n"
            "bb  12 kB  x\n");
  EXPECT_EQ(table.render(21),
            "ID   SIZE  SUBJECT\n"
            "a     1 B  an accoun…\n"
            "bb  12 kB  x\n");
}

TEST(ProgressBar, never_exceeds_the_width_and_drops_the_bar_first) {
  const Progress progress{3, 12, 12'600'000, 30'000'000, 2.0};
  for (std::size_t width = 0; width < 150; ++width) {
    EXPECT_LE(display_width(render_progress(progress, width)), width) << width;
  }
  EXPECT_EQ(render_progress(progress, 50), " 42%  12.6 MB of 30.0 MB  3/12 files  6.30 MB/s");
  EXPECT_EQ(render_progress(progress, 70),
            "[###------]  42%  12.6 MB of 30.0 MB  3/12 files  6.30 MB/s  ETA 2.8 s");
}

TEST(ProgressBar, an_unknown_total_shows_no_share) {
  EXPECT_EQ(render_progress({0, 1, 5'000, 0, 1.0}, 80), "5.00 kB  0/1 file  5.00 kB/s");
}

TEST(ProgressBar, more_bytes_than_announced_stay_at_a_hundred_percent) {
  EXPECT_EQ(render_progress({1, 1, 20, 10, 0}, 30), "100%  20 B of 10 B  1/1 file");
}

}  // namespace
}  // namespace daybook::api
