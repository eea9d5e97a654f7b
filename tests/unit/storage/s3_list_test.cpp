// Lists as S3 services write them, and what must not be taken for a whole list.
#include "storage/s3_list.hpp"

#include <gtest/gtest.h>

namespace daybook::storage {
namespace {

std::string list(const std::string& inside) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
         "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>audit</Name><Prefix>a/</Prefix>"
         "<MaxKeys>2</MaxKeys>" +
         inside + "</ListBucketResult>";
}

std::string entry(const std::string& key, const std::string& size) {
  return "<Contents><Key>" + key +
         "</Key><LastModified>2026-11-21T08:00:00.000Z</LastModified>"
         "<ETag>&quot;0&quot;</ETag><Size>" +
         size + "</Size></Contents>";
}

core::Result<S3ListPage> parse(const std::string& text) {
  return parse_s3_list(core::as_bytes(text));
}

TEST(S3List, reads_keys_sizes_and_the_end) {
  const auto page = parse(list("<IsTruncated>false</IsTruncated>" + entry("a/1", "0") +
                               entry("a/&lt;&amp;&#x26;&quot;&apos;&gt;&#228;", "4194304")));
  ASSERT_TRUE(page) << page.error().detail;
  ASSERT_EQ(page->objects.size(), 2u);
  EXPECT_EQ(page->objects[0].key, "a/1");
  EXPECT_EQ(page->objects[1].key, "a/<&&\"'>\xC3\xA4");
  EXPECT_EQ(page->objects[1].size, 4194304u);
  EXPECT_EQ(page->continuation_token, "");
}

TEST(S3List, reads_where_it_goes_on) {
  const auto page =
      parse(list(entry("a/1", "7") + "<IsTruncated>true</IsTruncated>"
                                     "<NextContinuationToken>1&amp;x==</NextContinuationToken>"));
  ASSERT_TRUE(page) << page.error().detail;
  EXPECT_EQ(page->continuation_token, "1&x==");
}

TEST(S3List, takes_no_part_for_the_whole) {
  const std::string end = "<IsTruncated>false</IsTruncated>";
  const std::string whole = list(entry("a/1", "7") + end);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse(whole.substr(0, size))) << size;
  }
  for (const std::string& inside :
       {entry("a/1", "7"), entry("a/1", "7") + "<IsTruncated>true</IsTruncated>",
        entry("a/1", "7") + "<IsTruncated>maybe</IsTruncated>", entry("", "7") + end,
        entry("a/1", "") + end, entry("a/1", "-7") + end, entry("a/1", "7x") + end,
        entry("a&b", "7") + end, entry("a&nbsp;b", "7") + end, entry("a&#0;b", "7") + end,
        entry("a&#xD800;b", "7") + end, entry("a<b/>", "7") + end,
        entry("a</Key><Key>b", "7") + end, "<Contents><Size>7</Size></Contents>" + end,
        entry("a", "99999999999999999999999") + end, end + end}) {
    const auto page = parse(list(inside));
    ASSERT_FALSE(page) << inside;
    EXPECT_EQ(page.error().code, core::Code::damaged);
    EXPECT_EQ(page.error().origin, core::Origin::object_store);
  }
  EXPECT_FALSE(parse("<Error><Code>SlowDown</Code></Error>"));
}

}  // namespace
}  // namespace daybook::storage
