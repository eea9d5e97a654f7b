// What objects get beside their bytes, and the documents about it.
#include "storage/s3_options.hpp"

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "storage/s3_xml.hpp"

namespace daybook::storage {
namespace {

core::WallTime at(std::string_view text) {
  return core::parse_time(text).value();
}

core::PutObject record(const std::string& tenant, std::string_view received_at) {
  return {.key = "k",
          .body = {},
          .sha256 = {},
          .content_type = "",
          .metadata = {},
          .tenant = tenant,
          .received_at = at(received_at)};
}

S3Options locking() {
  S3Options options;
  options.lock_mode = "COMPLIANCE";
  options.lock_days = 365;
  options.lock_days_by_tenant = {{"bank", 3650}, {"lab", 0}};
  return options;
}

core::http::Fields head_of(const core::sigv4::NamedValues& lines) {
  core::http::Fields fields;
  for (const auto& [name, value] : lines) fields.add(name, value);
  return fields;
}

TEST(S3Options, retention_counts_from_the_record_and_not_from_now) {
  const auto object = record("any", "2026-11-21T04:05:06.000001Z");
  const auto first = retention_of(locking(), object, at("2026-11-21T05:00:00Z"));
  const auto later = retention_of(locking(), object, at("2027-03-01T00:00:00Z"));
  ASSERT_TRUE(first && later);
  EXPECT_EQ(s3_time(first->until), "2027-11-21T04:05:07Z");  // rounded up
  EXPECT_EQ(first->until, later->until);
  EXPECT_EQ(first->mode, "COMPLIANCE");
}

TEST(S3Options, retention_is_the_tenants_own) {
  const core::WallTime now = at("2026-11-21T05:00:00Z");
  const auto bank = retention_of(locking(), record("bank", "2026-11-21T04:00:00Z"), now);
  ASSERT_TRUE(bank);
  EXPECT_EQ(s3_time(bank->until), "2036-11-18T04:00:00Z");
  EXPECT_FALSE(retention_of(locking(), record("lab", "2026-11-21T04:00:00Z"), now));
  EXPECT_FALSE(retention_of({}, record("bank", "2026-11-21T04:00:00Z"), now));
}

TEST(S3Options, a_retention_that_has_passed_is_not_asked_for) {
  const auto object = record("any", "2026-01-01T00:00:00Z");
  EXPECT_TRUE(retention_of(locking(), object, at("2026-12-31T23:58:00Z")));
  EXPECT_FALSE(retention_of(locking(), object, at("2026-12-31T23:59:30Z")));
  EXPECT_FALSE(retention_of(locking(), object, at("2027-06-01T00:00:00Z")));
}

TEST(S3Options, become_fields) {
  S3Options options = locking();
  options.encryption = "aws:kms";
  options.kms_key_id = "key-1";
  options.storage_class = "STANDARD_IA";
  options.tags = {{"project x", "a+b=c"}};
  options.tag_tenant = true;
  options.metadata = {{"origin", "two  spaces"}};
  const auto object = record("bank", "2026-11-21T04:00:00Z");
  const core::sigv4::NamedValues expected = {
      {"x-amz-object-lock-mode", "GOVERNANCE"},
      {"x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"},
      {"x-amz-server-side-encryption", "aws:kms"},
      {"x-amz-server-side-encryption-aws-kms-key-id", "key-1"},
      {"x-amz-storage-class", "STANDARD_IA"},
      {"x-amz-tagging", "project%20x=a%2Bb%3Dc&tenant=bank"},
      {"x-amz-meta-origin", "two spaces"}};
  EXPECT_EQ(option_fields(options, object, S3Retention{"GOVERNANCE", at("2030-01-01T00:00:00Z")}),
            expected);
  EXPECT_TRUE(option_fields({}, object, std::nullopt).empty());
}

TEST(S3Options, tells_each_thing_that_a_store_forgot) {
  S3Options options = locking();
  options.encryption = "AES256";
  options.storage_class = "COLD";
  options.tags = {{"a", "b"}};
  options.metadata = {{"origin", "x"}};
  const auto object = record("any", "2026-11-21T04:00:00Z");
  const S3Retention retention{"COMPLIANCE", at("2030-01-01T00:00:00Z")};
  const core::sigv4::NamedValues all = {
      {"x-amz-object-lock-mode", "COMPLIANCE"},
      {"x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00.000Z"},
      {"x-amz-server-side-encryption", "AES256"},
      {"x-amz-storage-class", "COLD"},
      {"x-amz-tagging-count", "1"},
      {"x-amz-meta-origin", "x"}};
  EXPECT_TRUE(forgotten(options, object, retention, head_of(all)).empty());
  const std::vector<std::string> names = {"archive.lock_mode",     "archive.lock_mode",
                                          "archive.s3_encryption", "archive.s3_storage_class",
                                          "archive.s3_tags",       "archive.s3_metadata"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto less = all;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(forgotten(options, object, retention, head_of(less)), std::vector{names[i]});
  }
  auto other = all;
  other[1].second = "2029-12-31T23:59:59Z";
  EXPECT_EQ(forgotten(options, object, retention, head_of(other)),
            std::vector{std::string("archive.lock_mode")});
  // STANDARD is what a store does not mention.
  options = {};
  options.storage_class = "STANDARD";
  EXPECT_TRUE(forgotten(options, object, std::nullopt, {}).empty());
}

TEST(S3Options, compliance_is_as_good_as_governance_and_not_the_other_way) {
  const core::WallTime until = at("2030-01-01T00:00:00Z");
  const auto shown = [](const char* mode) {
    return head_of({{"x-amz-object-lock-mode", mode},
                    {"x-amz-object-lock-retain-until-date", "2031-01-01T00:00:00Z"}});
  };
  EXPECT_TRUE(shows_retention(shown("COMPLIANCE"), {"GOVERNANCE", until}));
  EXPECT_TRUE(shows_retention(shown("GOVERNANCE"), {"GOVERNANCE", until}));
  EXPECT_FALSE(shows_retention(shown("GOVERNANCE"), {"COMPLIANCE", until}));
  EXPECT_FALSE(shows_retention({}, {"GOVERNANCE", until}));
}

TEST(S3Options, names_with_values_are_read_strictly) {
  const auto values = parse_named_values(" a = 1 ,b=x y,c=");
  ASSERT_TRUE(values) << values.error().detail;
  EXPECT_EQ(*values, (core::sigv4::NamedValues{{"a", "1"}, {"b", "x y"}, {"c", ""}}));
  EXPECT_TRUE(parse_named_values("")->empty());
  for (const char* text : {"a", "=1", "a=1,,b=2", "a=1,a=2", ",a=1"}) {
    EXPECT_FALSE(parse_named_values(text)) << text;
  }
  EXPECT_EQ(parse_days_by_tenant("bank=3650, lab=0").value(),
            (std::map<std::string, std::uint64_t>{{"bank", 3650}, {"lab", 0}}));
  for (const char* text : {"bank=ten", "bank=-1", "bank=36501", "bank=", "a b=1", "bank=1d"}) {
    EXPECT_FALSE(parse_days_by_tenant(text)) << text;
  }
}

TEST(S3Options, tags_and_metadata_keep_s3s_bounds) {
  EXPECT_EQ(fault_in_tags({{"a", "b"}, {"Cost Centre", "4/7"}}, true), "");
  EXPECT_NE(fault_in_tags({{"tenant", "b"}}, true), "");
  EXPECT_EQ(fault_in_tags({{"tenant", "b"}}, false), "");
  EXPECT_NE(fault_in_tags({{"aws:x", "b"}}, false), "");
  EXPECT_NE(fault_in_tags({{"a", "b;c"}}, false), "");
  EXPECT_NE(fault_in_tags({{"a", std::string(257, 'x')}}, false), "");
  core::sigv4::NamedValues many;
  for (int i = 0; i < 10; ++i) many.emplace_back("t" + std::to_string(i), "x");
  EXPECT_EQ(fault_in_tags(many, false), "");
  EXPECT_NE(fault_in_tags(many, true), "");
  EXPECT_EQ(fault_in_metadata({{"origin-1", "x y"}}), "");
  for (const char* name : {"Origin", "a b", "daybook-id"}) {
    EXPECT_NE(fault_in_metadata({{name, "x"}}), "") << name;
  }
  EXPECT_NE(fault_in_metadata({{"a", "\xC3\xA4"}}), "");
  EXPECT_NE(fault_in_metadata({{"a", std::string(2000, 'x')}}), "");
}

// ---- documents ----

TEST(S3Xml, a_store_that_answers_with_another_document_has_no_locks) {
  const std::string enabled =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ObjectLockConfiguration xmlns=\"x\">"
      "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</"
      "Mode>"
      "<Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
  EXPECT_TRUE(parse_bucket_lock(enabled).enabled);
  EXPECT_EQ(parse_bucket_lock(enabled).default_rule, "GOVERNANCE for 30 days");
  for (const char* text :
       {"", "hello",
        "<ListBucketResult><ObjectLockEnabled>Enabled</ObjectLockEnabled></ListBucketResult>",
        "<ObjectLockConfiguration></ObjectLockConfiguration>", "<ObjectLockConfigurationX/>",
        "<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled>"
        "</ObjectLockConfiguration>"}) {
    EXPECT_FALSE(parse_bucket_lock(text).enabled) << text;
  }
  EXPECT_TRUE(says_versioned(
      "<VersioningConfiguration xmlns=\"x\"><Status>Enabled</Status></VersioningConfiguration>"));
  EXPECT_FALSE(says_versioned("<VersioningConfiguration/>"));
  EXPECT_FALSE(says_versioned("<ListBucketResult><Status>Enabled</Status></ListBucketResult>"));
}

TEST(S3Xml, uploads_are_read_strictly) {
  const std::string entry =
      "<Upload><Key>a/&amp;</Key><UploadId>2~x</UploadId>"
      "<Initiated>2026-11-21T13:57:40.681Z</Initiated></Upload>";
  const auto page = parse_uploads(
      "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
      "<NextKeyMarker>a/&amp;</NextKeyMarker>"
      "<NextUploadIdMarker>2~x</NextUploadIdMarker>" +
      entry + "</ListMultipartUploadsResult>");
  ASSERT_TRUE(page) << page.error().detail;
  ASSERT_EQ(page->uploads.size(), 1u);
  EXPECT_EQ(page->uploads[0].key, "a/&");
  EXPECT_EQ(page->uploads[0].upload_id, "2~x");
  EXPECT_EQ(page->uploads[0].initiated, at("2026-11-21T13:57:40.681Z"));
  EXPECT_EQ(page->next_key, "a/&");
  EXPECT_EQ(page->next_upload_id, "2~x");
  for (const std::string& text :
       {std::string("<ListBucketResult/>"),
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>" + entry +
            "</ListMultipartUploadsResult>",
        std::string("<ListMultipartUploadsResult><Upload><Key>a</Key></Upload>"
                    "</ListMultipartUploadsResult>"),
        std::string("<ListMultipartUploadsResult><Upload>")}) {
    EXPECT_FALSE(parse_uploads(text)) << text;
  }
}

TEST(S3Xml, writes_what_s3_reads) {
  EXPECT_EQ(complete_document({{"\"e1\"", "c2E="}, {"\"e2\"", ""}}),
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part>"
            "<PartNumber>1</PartNumber><ETag>\"e1\"</ETag><ChecksumSHA256>c2E=</ChecksumSHA256>"
            "</Part><Part><PartNumber>2</PartNumber><ETag>\"e2\"</ETag></Part>"
            "</CompleteMultipartUpload>");
  EXPECT_NE(tagging_document({{"a<", "b&"}}).find("<Key>a&lt;</Key><Value>b&amp;</Value>"),
            std::string::npos);
  EXPECT_NE(legal_hold_document(true).find("<Status>ON</Status>"), std::string::npos);
  EXPECT_EQ(parse_upload_id("<?xml version=\"1.0\"?>\n<InitiateMultipartUploadResult xmlns=\"x\">"
                            "<UploadId>a&amp;b</UploadId></InitiateMultipartUploadResult>"),
            "a&b");
  EXPECT_EQ(parse_upload_id("<Error><UploadId>a</UploadId></Error>"), "");
}

}  // namespace
}  // namespace daybook::storage
