// CommandBatch: the bytes on the wire, exactly.
#include "core/resp/command.hpp"

#include <gtest/gtest.h>

namespace daybook::core::resp {
namespace {

std::string bytes_of(const CommandBatch& batch) {
  std::string text;
  for (Bytes slice : batch.slices()) text += as_text(slice);
  return text;
}

TEST(CommandBatch, writes_arguments_with_their_lengths) {
  CommandBatch batch;
  batch.add({"SET", "key", ""}).add(std::vector<std::string>{"PING"});
  EXPECT_EQ(batch.commands(), 2u);
  EXPECT_EQ(bytes_of(batch),
            "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n"
            "*1\r\n$4\r\nPING\r\n");
}

TEST(CommandBatch, keeps_binary_arguments_as_they_are) {
  using namespace std::string_literals;
  CommandBatch batch;
  batch.add({"a\0b\r\n"s, "\xff\xfe"s});
  EXPECT_EQ(bytes_of(batch), "*2\r\n$5\r\na\0b\r\n\r\n$2\r\n\xff\xfe\r\n"s);
}

TEST(CommandBatch, makes_one_argument_of_slices_without_copying_them) {
  const std::string first(100'000, 'a');
  const std::string second = "\r\n*9\r\n";
  const std::string empty;
  CommandBatch batch;
  batch.add({"MULTI"})
      .add({"SET", "k"}, {as_bytes(first), as_bytes(empty), as_bytes(second)})
      .add({"EXEC"});
  EXPECT_EQ(batch.commands(), 3u);
  EXPECT_EQ(bytes_of(batch), "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100006\r\n" +
                                 first + second + "\r\n*1\r\n$4\r\nEXEC\r\n");
  bool referenced = false;
  for (Bytes slice : batch.slices()) referenced |= slice.data() == as_bytes(first).data();
  EXPECT_TRUE(referenced);
}

TEST(CommandBatch, several_sliced_arguments_keep_their_places) {
  const std::string a = "AAA", b = "BB";
  CommandBatch batch;
  batch.add({"SET", "1"}, {as_bytes(a)}).add({"SET", "2"}, {as_bytes(b)}).add({"SET", "3"}, {});
  EXPECT_EQ(bytes_of(batch),
            "*3\r\n$3\r\nSET\r\n$1\r\n1\r\n$3\r\nAAA\r\n"
            "*3\r\n$3\r\nSET\r\n$1\r\n2\r\n$2\r\nBB\r\n"
            "*3\r\n$3\r\nSET\r\n$1\r\n3\r\n$0\r\n\r\n");
}

}  // namespace
}  // namespace daybook::core::resp
