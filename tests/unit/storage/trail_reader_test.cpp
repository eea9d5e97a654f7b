// What a trail says, also one that was cut off or written by an earlier version.
#include "storage/trail_reader.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/contract/temporary_folder.hpp"

namespace daybook::storage {
namespace {

const std::string kFirst = "0190a5f0-1234-7abc-8000-0123456789ab";  // partition 0
const std::string kSecond = "0190a5f0-1235-7abc-8000-0123456789ab";
const std::string kThird = "0190a5f0-1236-7abc-8000-0123456789ab";

class TrailReader : public ::testing::Test {
 protected:
  static std::string line(const std::string& id) {
    return id + " " + std::string(64, 'a') + " 7 0\n";
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
  }
  TrailContents read() {
    auto contents = read_trail(folder_.path().string(), {});
    EXPECT_TRUE(contents) << contents.error().detail;
    return contents ? std::move(*contents) : TrailContents{};
  }
  static TrailFate fate(const TrailContents& contents, const std::string& id) {
    const auto found = contents.records.find(*core::RecordId::parse(id));
    EXPECT_NE(found, contents.records.end()) << id;
    return found == contents.records.end() ? TrailFate::unknown : found->second.fate;
  }

  tests::TemporaryFolder folder_;
};

TEST_F(TrailReader, tells_what_became_of_each_record) {
  write("1.trail", "# daybook trail 2\n" + line(kFirst) + line(kSecond) + "# stored " + kFirst +
                       "\n" + line(kThird) + "# failed " + kThird + "\n");
  const TrailContents contents = read();
  EXPECT_EQ(contents.records.size(), 3u);
  EXPECT_EQ(fate(contents, kFirst), TrailFate::stored);
  EXPECT_EQ(fate(contents, kSecond), TrailFate::unknown);
  EXPECT_EQ(fate(contents, kThird), TrailFate::failed);
  EXPECT_EQ(contents.records.begin()->second.size, 7u);
}

TEST_F(TrailReader, finds_a_remark_in_another_file_and_believes_stored_over_failed) {
  write("1.trail", "# daybook trail 2\n" + line(kFirst) + line(kSecond));
  write("2.trail", "# daybook trail 2\n# failed " + kFirst + "\n# stored " + kFirst +
                       "\n# failed " + kFirst + "\n# stored " + kSecond + "\n");
  const TrailContents contents = read();
  EXPECT_EQ(fate(contents, kFirst), TrailFate::stored);
  EXPECT_EQ(fate(contents, kSecond), TrailFate::stored);
  const std::string first = (folder_.path() / "1.trail").string();
  const std::string second = (folder_.path() / "2.trail").string();
  EXPECT_EQ(list_trail(folder_.path().string(), {}).value(), (std::vector{first, second}));
  const auto alone = read_trail_file(first, "");
  ASSERT_TRUE(alone) << alone.error().detail;
  EXPECT_EQ(fate(*alone, kSecond), TrailFate::unknown);
  const auto with_next = read_trail_file(first, second);
  ASSERT_TRUE(with_next) << with_next.error().detail;
  EXPECT_EQ(with_next->records.size(), 2u);
  EXPECT_EQ(fate(*with_next, kFirst), TrailFate::stored);
  EXPECT_EQ(fate(*with_next, kSecond), TrailFate::stored);
}

TEST_F(TrailReader, takes_all_records_of_an_old_file_for_acknowledged) {
  write("1.trail", line(kFirst));
  EXPECT_EQ(fate(read(), kFirst), TrailFate::stored);
}

TEST_F(TrailReader, cuts_a_torn_last_line_at_every_byte) {
  const std::string head = "# daybook trail 2\n";
  const std::string whole = head + line(kFirst) + line(kSecond);
  for (std::size_t cut = 1; cut < line(kSecond).size(); ++cut) {
    write("1.trail", whole.substr(0, whole.size() - cut));
    const TrailContents contents = read();
    EXPECT_EQ(contents.records.size(), 1u) << cut;
    EXPECT_EQ(contents.torn.size(), 1u) << cut;
    EXPECT_TRUE(contents.damaged.empty()) << cut;
  }
}

TEST_F(TrailReader, names_a_file_with_other_lines_in_it) {
  for (const std::string& bad : {std::string("nonsense\n"), std::string(200, '\0') + "\n",
                                 kSecond + " " + std::string(64, 'a') + " 7\n",
                                 kSecond + " " + std::string(63, 'a') + " 7 0\n",
                                 kSecond + " " + std::string(64, 'a') + " 7 1\n"}) {
    write("1.trail", line(kFirst) + bad + line(kThird));
    const TrailContents contents = read();
    EXPECT_EQ(contents.records.size(), 2u) << bad;
    EXPECT_EQ(contents.damaged.size(), 1u) << bad;
  }
}

TEST_F(TrailReader, passes_over_old_files_and_what_is_no_trail) {
  write("1.trail", line(kFirst));
  write("notes.txt", line(kSecond));
  EXPECT_EQ(read().records.size(), 1u);
  const auto later = std::chrono::floor<std::chrono::microseconds>(
      std::chrono::system_clock::now() + std::chrono::hours(1));
  EXPECT_EQ(read_trail(folder_.path().string(), later)->files, 0u);
  EXPECT_EQ(read_trail((folder_.path() / "none").string(), {})->files, 0u);
}

}  // namespace
}  // namespace daybook::storage
