// The rules between the settings of an S3 archive, and what becomes of them.
#include "api/s3_settings.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace daybook::api {
namespace {

core::Config config() {
  core::Config config;
  config.archive_kind = "s3";
  config.archive_lock_mode = "none";
  config.archive_lock_required = true;
  config.archive_s3_encryption = "none";
  return config;
}

// The broken rules, one after the other.
std::string broken(const std::function<void(core::Config&)>& change) {
  core::Config changed = config();
  change(changed);
  std::vector<std::string> rules;
  check_s3_options(changed, rules);
  std::string text;
  for (const std::string& rule : rules) text += rule + "\n";
  return text;
}

TEST(S3Settings, sound_ones_break_no_rule) {
  EXPECT_EQ(broken([](auto&) {}), "");
  EXPECT_EQ(broken([](auto& c) {
              c.archive_lock_mode = "compliance";
              c.archive_lock_days = 365;
              c.archive_lock_days_by_tenant = "bank=3650,lab=0";
              c.archive_s3_encryption = "sse-kms";
              c.archive_s3_kms_key_id = "arn:aws:kms:eu-central-1:1:key/2";
              c.archive_s3_storage_class = "STANDARD_IA";
              c.archive_s3_tags = "project=audit";
              c.archive_s3_tag_tenant = true;
              c.archive_s3_metadata = "origin=test";
            }),
            "");
  EXPECT_EQ(broken([](auto& c) {
              c.archive_lock_mode = "governance";
              c.archive_lock_days_by_tenant = "bank=3650";
            }),
            "")
      << "only some tenants are locked";
}

TEST(S3Settings, each_broken_rule_names_its_setting) {
  const auto expect = [](const std::string& name,
                         const std::function<void(core::Config&)>& change) {
    const std::string rules = broken(change);
    EXPECT_TRUE(rules.starts_with("archive." + name + ": ")) << name << " not in: " << rules;
  };
  expect("lock_days", [](auto& c) { c.archive_lock_mode = "governance"; });
  expect("lock_mode", [](auto& c) { c.archive_lock_days = 3; });
  expect("lock_mode", [](auto& c) { c.archive_lock_days_by_tenant = "bank=1"; });
  expect("lock_mode", [](auto& c) {
    c.archive_kind = "file";
    c.archive_lock_mode = "governance";
    c.archive_lock_days = 3;
  });
  expect("lock_days_by_tenant", [](auto& c) {
    c.archive_lock_mode = "governance";
    c.archive_lock_days = 3;
    c.archive_lock_days_by_tenant = "bank=never";
  });
  expect("s3_kms_key_id", [](auto& c) { c.archive_s3_kms_key_id = "key"; });
  expect("s3_storage_class", [](auto& c) { c.archive_s3_storage_class = "A\r\nX: y"; });
  expect("s3_tags", [](auto& c) { c.archive_s3_tags = "project"; });
  expect("s3_tags", [](auto& c) {
    c.archive_s3_tags = "tenant=x";
    c.archive_s3_tag_tenant = true;
  });
  expect("s3_metadata", [](auto& c) { c.archive_s3_metadata = "daybook-id=x"; });
}

TEST(S3Settings, become_what_s3_calls_them) {
  core::Config changed = config();
  EXPECT_FALSE(s3_options(changed).any());
  EXPECT_FALSE(promises_protection(changed));
  changed.archive_lock_mode = "governance";
  changed.archive_lock_days = 7;
  changed.archive_s3_encryption = "sse-s3";
  const storage::S3Options options = s3_options(changed);
  EXPECT_EQ(options.lock_mode, "GOVERNANCE");
  EXPECT_EQ(options.lock_days, 7u);
  EXPECT_EQ(options.encryption, "AES256");
  EXPECT_TRUE(promises_protection(changed));
  changed.archive_s3_encryption = "none";
  changed.archive_lock_required = false;
  EXPECT_FALSE(promises_protection(changed));
}

}  // namespace
}  // namespace daybook::api
