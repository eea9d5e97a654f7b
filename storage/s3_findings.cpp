#include "storage/s3_findings.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace daybook::storage {
namespace {

constexpr std::string_view kLockMode = "archive.lock_mode";
constexpr std::string_view kEncryption = "archive.s3_encryption";

core::Failure misconfigured(std::string detail) {
  return core::fail(core::Code::misconfigured, core::Origin::object_store, core::Retry::never,
                    std::move(detail));
}

std::string to_word(S3Answer answer) {
  return answer == S3Answer::yes ? "yes" : answer == S3Answer::no ? "no" : "unknown";
}

bool lacks_locks(const S3Findings& findings) {
  return findings.object_lock == S3Answer::no || findings.forgot(kLockMode);
}

// The settings that are in use, for a sentence.
std::string settings_of(const S3Options& options) {
  std::string text;
  const auto add = [&text](bool used, std::string_view name) {
    if (used) text += (text.empty() ? "" : ", ") + std::string(name);
  };
  add(options.locks(), kLockMode);
  add(!options.encryption.empty(), kEncryption);
  add(!options.kms_key_id.empty(), "archive.s3_kms_key_id");
  add(!options.storage_class.empty(), "archive.s3_storage_class");
  add(!options.tags.empty(), "archive.s3_tags");
  add(options.tag_tenant, "archive.s3_tag_tenant");
  add(!options.metadata.empty(), "archive.s3_metadata");
  return text;
}

core::StoreFact lock_fact(const S3Options& options, const S3Findings& findings) {
  core::StoreFact fact{"object_lock", to_word(findings.object_lock), ""};
  if (findings.object_lock != S3Answer::no && findings.forgot(kLockMode)) {
    fact.finding = "no";
    fact.detail = "the store took a lock and forgot it";
    fact.good = false;
  } else if (options.locks() && lacks_locks(findings) && options.lock_required) {
    fact.detail = "nothing is archived before the bucket has it (archive.lock_mode)";
    fact.good = false;
  } else if (options.locks() && lacks_locks(findings)) {
    fact.detail =
        "objects are stored WITHOUT the lock that archive.lock_mode asks for "
        "(archive.lock_required = false)";
    fact.good = false;
  } else if (options.locks()) {
    fact.detail =
        "objects are locked in " + core::to_lower(options.lock_mode) + " mode for " +
        std::to_string(options.lock_days) + " days" +
        (options.lock_days_by_tenant.empty() ? "" : ", or as their tenant's setting says");
  } else if (findings.object_lock == S3Answer::yes) {
    fact.detail = "the bucket has it, but archive.lock_mode is none";
  }
  if (!findings.default_rule.empty()) {
    fact.detail +=
        (fact.detail.empty() ? "" : "; ") + ("the bucket's own rule: " + findings.default_rule);
  }
  return fact;
}

}  // namespace

bool S3Findings::forgot(std::string_view setting) const {
  return std::ranges::find(forgotten, setting) != forgotten.end();
}

core::Result<void> check_promises(const S3Options& options, const S3Findings& findings,
                                  std::string_view bucket) {
  const std::string name(bucket);
  if (options.locks() && options.lock_required && findings.object_lock == S3Answer::no) {
    return misconfigured(
        "archive.lock_mode is " + core::to_lower(options.lock_mode) + ", but the bucket " + name +
        " has no Object Lock, so what is archived there could be deleted. Make a bucket with it "
        "(aws s3api create-bucket --bucket NAME --object-lock-enabled-for-bucket) and name it in "
        "archive.s3_bucket; archive.lock_required = false stores without locks.");
  }
  if (!findings.refused.empty()) {
    return misconfigured("The store takes no object with what " + settings_of(options) +
                         " asks for: " + findings.refused +
                         " Change the setting that it does not support.");
  }
  if (options.lock_required && findings.forgot(kLockMode)) {
    return misconfigured(
        "The store took an object with a lock (archive.lock_mode) and shows none. Either it "
        "ignores "
        "Object Lock, then use another store or archive.lock_required = false; or this key may not "
        "see it: allow s3:GetObjectRetention and s3:PutObjectRetention.");
  }
  if (findings.forgot(kEncryption)) {
    return misconfigured(
        "The store took an object that was to be encrypted (archive.s3_encryption = " +
        options.encryption +
        ") and does not show that it is. Use a store that encrypts, or archive.s3_encryption = "
        "\"none\".");
  }
  return {};
}

S3Options options_in_force(S3Options options, const S3Findings& findings) {
  if (lacks_locks(findings)) options.lock_mode.clear();
  return options;
}

std::vector<core::StoreFact> facts_of(const S3Options& options, const S3Findings& findings) {
  const bool conditional = findings.conditional_put == S3Answer::yes;
  const bool versions = findings.versioning == S3Answer::yes;
  std::vector<core::StoreFact> facts;
  facts.push_back({"conditional_put", to_word(findings.conditional_put),
                   conditional ? "an object is written once"
                   : versions ? "a HEAD goes before every PUT, so that a repetition adds no version"
                              : "a repetition replaces an object by the same bytes"});
  facts.push_back({"checksums", to_word(findings.checksums),
                   findings.checksums == S3Answer::yes
                       ? "x-amz-checksum-sha256 is checked"
                       : "x-amz-checksum-sha256 is not sent; x-amz-content-sha256, Content-MD5 and "
                         "the ETag prove the bytes"});
  facts.push_back({"versioning", to_word(findings.versioning), ""});
  facts.push_back(lock_fact(options, findings));
  for (const std::string& setting : findings.forgotten) {
    if (setting == kLockMode) continue;
    facts.push_back({setting.substr(setting.find('.') + 1), "no",
                     "the store took what " + setting + " asks for and does not show it", false});
  }
  return facts;
}

}  // namespace daybook::storage
