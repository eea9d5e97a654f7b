#include "storage/s3_options.hpp"

#include <algorithm>
#include <charconv>

#include "core/text.hpp"
#include "storage/s3_fields.hpp"

namespace daybook::storage {
namespace {

using core::Result;
using core::sigv4::NamedValues;

constexpr std::size_t kTagsMax = 10;  // S3's bounds
constexpr std::size_t kTagNameMax = 128;
constexpr std::size_t kTagValueMax = 256;
constexpr std::size_t kMetadataBytesMax = 1024;  // of S3's 2 KiB; Daybook's own need some
constexpr std::uint64_t kDaysMax = 36'500;
constexpr auto kTooLate = std::chrono::minutes(1);

core::Failure refuse(std::string detail) {
  return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                    std::move(detail));
}

bool all_of(std::string_view text, std::string_view also) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           also.find(c) != std::string_view::npos;
  });
}

std::uint64_t days_of(const S3Options& options, const std::string& tenant) {
  const auto own = options.lock_days_by_tenant.find(tenant);
  return own != options.lock_days_by_tenant.end() ? own->second : options.lock_days;
}

}  // namespace

bool S3Options::any() const {
  return locks() || !encryption.empty() || !storage_class.empty() || !tags.empty() || tag_tenant ||
         !metadata.empty();
}

std::optional<S3Retention> retention_of(const S3Options& options, const core::PutObject& object,
                                        core::WallTime now) {
  if (!options.locks() || !object.received_at) return std::nullopt;
  const std::uint64_t days = days_of(options, object.tenant);
  const core::WallTime until =
      std::chrono::ceil<std::chrono::seconds>(*object.received_at + std::chrono::days(days));
  if (days == 0 || until <= now + kTooLate) return std::nullopt;
  return S3Retention{options.lock_mode, until};
}

std::string s3_time(core::WallTime time) {
  const std::string text = core::format_time(std::chrono::ceil<std::chrono::seconds>(time));
  return text.substr(0, text.find('.')) + "Z";
}

NamedValues tags_of(const S3Options& options, std::string_view tenant) {
  NamedValues tags = options.tags;
  if (options.tag_tenant && !tenant.empty()) tags.emplace_back("tenant", tenant);
  return tags;
}

NamedValues option_fields(const S3Options& options, const core::PutObject& object,
                          const std::optional<S3Retention>& retention) {
  NamedValues fields;
  const auto add = [&fields](std::string_view name, const std::string& value) {
    if (!value.empty()) fields.emplace_back(name, value);
  };
  if (retention) {
    add("x-amz-object-lock-mode", retention->mode);
    add("x-amz-object-lock-retain-until-date", s3_time(retention->until));
  }
  add("x-amz-server-side-encryption", options.encryption);
  add("x-amz-server-side-encryption-aws-kms-key-id", options.kms_key_id);
  add("x-amz-storage-class", options.storage_class);
  std::string tagging;
  for (const auto& [name, value] : tags_of(options, object.tenant)) {
    if (!tagging.empty()) tagging += "&";
    tagging += core::percent_encode(name) + "=" + core::percent_encode(value);
  }
  add("x-amz-tagging", tagging);
  for (const auto& [name, value] : options.metadata) add("x-amz-meta-" + name, squeezed(value));
  return fields;
}

core::ObjectLock lock_shown(const core::http::Fields& head) {
  core::ObjectLock lock;
  lock.mode = core::to_lower(head.find("x-amz-object-lock-mode").value_or(""));
  lock.retain_until =
      core::parse_time(head.find("x-amz-object-lock-retain-until-date").value_or(""));
  lock.held =
      core::equals_ignoring_case(head.find("x-amz-object-lock-legal-hold").value_or(""), "ON");
  return lock;
}

bool shows_retention(const core::http::Fields& head, const S3Retention& retention) {
  const core::ObjectLock lock = lock_shown(head);
  // Compliance is more than governance; nothing makes it less again.
  const bool as_strong = lock.mode == "compliance" || lock.mode == core::to_lower(retention.mode);
  return as_strong && lock.retain_until && *lock.retain_until >= retention.until;
}

std::vector<std::string> forgotten(const S3Options& options, const core::PutObject& object,
                                   const std::optional<S3Retention>& retention,
                                   const core::http::Fields& head) {
  std::vector<std::string> names;
  const auto shows = [&head](std::string_view name, std::string_view value) {
    return core::equals_ignoring_case(head.find(name).value_or(""), value);
  };
  if (retention && !shows_retention(head, *retention)) names.emplace_back("archive.lock_mode");
  if (!options.encryption.empty() && !shows("x-amz-server-side-encryption", options.encryption)) {
    names.emplace_back("archive.s3_encryption");
  }
  // S3 leaves the field out for STANDARD.
  if (!options.storage_class.empty() && !shows("x-amz-storage-class", options.storage_class) &&
      !(options.storage_class == "STANDARD" && shows("x-amz-storage-class", ""))) {
    names.emplace_back("archive.s3_storage_class");
  }
  const std::size_t tags = tags_of(options, object.tenant).size();
  if (tags != 0 && !shows("x-amz-tagging-count", std::to_string(tags))) {
    names.emplace_back("archive.s3_tags");
  }
  if (!std::ranges::all_of(options.metadata, [&](const auto& one) {
        return head.find("x-amz-meta-" + one.first) == squeezed(one.second);
      })) {
    names.emplace_back("archive.s3_metadata");
  }
  return names;
}

Result<NamedValues> parse_named_values(std::string_view text) {
  NamedValues values;
  while (!core::trim(text).empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view one = core::trim(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    const std::size_t equals = one.find('=');
    const std::string name(core::trim(one.substr(0, equals)));
    if (equals == std::string_view::npos || name.empty()) {
      return refuse("'" + std::string(one) + "' is not NAME=VALUE");
    }
    if (std::ranges::any_of(values, [&](const auto& other) { return other.first == name; })) {
      return refuse("'" + name + "' is there twice");
    }
    values.emplace_back(name, core::trim(one.substr(equals + 1)));
  }
  return values;
}

Result<std::map<std::string, std::uint64_t>> parse_days_by_tenant(std::string_view text) {
  const auto pairs = parse_named_values(text);
  if (!pairs) return pass(pairs);
  std::map<std::string, std::uint64_t> days;
  for (const auto& [tenant, number] : *pairs) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (number.empty() || error != std::errc{} || end != number.data() + number.size() ||
        value > kDaysMax) {
      return refuse("'" + tenant + "=" + number + "' is not TENANT=DAYS, 0 to 36500");
    }
    if (!all_of(tenant, "._-")) return refuse("'" + tenant + "' is no tenant");
    days[tenant] = value;
  }
  return days;
}

std::string fault_in_tags(const NamedValues& tags, bool tag_tenant) {
  if (tags.size() + (tag_tenant ? 1 : 0) > kTagsMax) {
    return "S3 takes 10 tags at most, that of archive.s3_tag_tenant included";
  }
  for (const auto& [name, value] : tags) {
    constexpr std::string_view kAlso = " +-=._:/@";
    if (name.size() > kTagNameMax || value.size() > kTagValueMax || !all_of(name, kAlso) ||
        !all_of(value, kAlso)) {
      return "'" + name + "' is no tag: letters, digits, spaces and +-=._:/@, at most " +
             "128 in the name and 256 in the value";
    }
    if (name.starts_with("aws:")) return "names that begin with aws: belong to AWS";
    if (tag_tenant && name == "tenant") return "the tag tenant is made by archive.s3_tag_tenant";
  }
  return "";
}

std::string fault_in_metadata(const NamedValues& metadata) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata) {
    bytes += name.size() + value.size();
    const bool lower = std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!lower || !all_of(name, "-_") || value.empty() || !is_printable(value)) {
      return "'" + name + "' is no metadata: small letters, digits, - and _ in the name, " +
             "printable ASCII in the value";
    }
    if (name.starts_with("daybook-")) return "names that begin with daybook- are Daybook's own";
  }
  return bytes > kMetadataBytesMax ? "it has more than 1 KiB" : "";
}

}  // namespace daybook::storage
