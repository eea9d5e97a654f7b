#include "api/s3_settings.hpp"

#include "core/text.hpp"

namespace daybook::api {
namespace {

// What a broken rule was said about before is nothing here.
template <class T>
T or_empty(core::Result<T> parsed) {
  return parsed ? std::move(*parsed) : T{};
}

std::string mode_of(const std::string& lock_mode) {
  if (lock_mode == "governance") return "GOVERNANCE";
  if (lock_mode == "compliance") return "COMPLIANCE";
  return "";
}

std::string encryption_of(const std::string& setting) {
  if (setting == "sse-s3") return "AES256";
  if (setting == "sse-kms") return "aws:kms";
  return "";
}

}  // namespace

storage::S3Options s3_options(const core::Config& config) {
  storage::S3Options options;
  options.lock_mode = mode_of(config.archive_lock_mode);
  options.lock_days = config.archive_lock_days;
  options.lock_days_by_tenant =
      or_empty(storage::parse_days_by_tenant(config.archive_lock_days_by_tenant));
  options.lock_required = config.archive_lock_required;
  options.encryption = encryption_of(config.archive_s3_encryption);
  options.kms_key_id = config.archive_s3_kms_key_id;
  options.storage_class = config.archive_s3_storage_class;
  options.tags = or_empty(storage::parse_named_values(config.archive_s3_tags));
  options.tag_tenant = config.archive_s3_tag_tenant;
  options.metadata = or_empty(storage::parse_named_values(config.archive_s3_metadata));
  return options;
}

void check_s3_options(const core::Config& config, std::vector<std::string>& broken) {
  const auto bad = [&broken](std::string_view name, const std::string& why) {
    broken.push_back("archive." + std::string(name) + ": " + why + ".");
  };
  const bool locks = config.archive_lock_mode != "none";
  const auto days = storage::parse_days_by_tenant(config.archive_lock_days_by_tenant);
  if (!days) bad("lock_days_by_tenant", days.error().detail);
  if (locks && config.archive_kind != "s3") {
    bad("lock_mode", "only archive.kind = \"s3\" has locks");
  }
  if (locks && config.archive_lock_days == 0 && (!days || days->empty())) {
    bad("lock_days", "with lock_mode = \"" + config.archive_lock_mode +
                         "\" say for how many days. Example: lock_days = 365");
  }
  if (!locks && (config.archive_lock_days != 0 || !config.archive_lock_days_by_tenant.empty())) {
    bad("lock_mode",
        "lock_days is set, but nothing is locked while this is none. Say governance or "
        "compliance");
  }
  if (!config.archive_s3_kms_key_id.empty() && config.archive_s3_encryption != "sse-kms") {
    bad("s3_kms_key_id", "it needs s3_encryption = \"sse-kms\"");
  }
  const auto tags = storage::parse_named_values(config.archive_s3_tags);
  const std::string tag_fault =
      tags ? storage::fault_in_tags(*tags, config.archive_s3_tag_tenant) : tags.error().detail;
  if (!tag_fault.empty()) bad("s3_tags", tag_fault);
  const auto metadata = storage::parse_named_values(config.archive_s3_metadata);
  const std::string metadata_fault =
      metadata ? storage::fault_in_metadata(*metadata) : metadata.error().detail;
  if (!metadata_fault.empty()) bad("s3_metadata", metadata_fault);
  for (const auto& [name, value] : {std::pair("s3_storage_class", config.archive_s3_storage_class),
                                    std::pair("s3_kms_key_id", config.archive_s3_kms_key_id)}) {
    for (const char c : value) {
      if (c > ' ' && c <= '~') continue;
      bad(name, "it has a character that is no letter, digit or sign");
      break;
    }
  }
}

bool promises_protection(const core::Config& config) {
  return config.archive_kind == "s3" &&
         ((config.archive_lock_mode != "none" && config.archive_lock_required) ||
          config.archive_s3_encryption != "none");
}

}  // namespace daybook::api
