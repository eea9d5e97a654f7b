// What an object of the archive gets beside its bytes: Object Lock, encryption, storage class,
// tags, metadata; as request fields, and as what a HEAD must show afterwards. Pure; any thread.
// Source: Amazon S3 API Reference, PutObject, CreateMultipartUpload, HeadObject,
// PutObjectRetention.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/message.hpp"
#include "core/ports/object_store.hpp"
#include "core/result.hpp"
#include "core/sigv4/sigv4.hpp"
#include "core/units.hpp"

namespace daybook::storage {

struct S3Options {
  std::string lock_mode;  // "GOVERNANCE" | "COMPLIANCE"; empty = no Object Lock
  std::uint64_t lock_days = 0;
  std::map<std::string, std::uint64_t> lock_days_by_tenant;  // instead of lock_days; 0 = none
  bool lock_required = true;  // never store what was to be locked without a lock
  std::string encryption;     // "AES256" | "aws:kms"; empty = what the bucket does by itself
  std::string kms_key_id;     // with "aws:kms"; empty = the service's own key
  std::string storage_class;  // empty = the bucket's
  core::sigv4::NamedValues tags;
  bool tag_tenant = false;  // adds the tag tenant=…
  core::sigv4::NamedValues metadata;

  [[nodiscard]] bool locks() const { return !lock_mode.empty(); }
  // Whether there is anything that a store could take and forget.
  [[nodiscard]] bool any() const;
};

// A retention in whole seconds, as S3 keeps it.
struct S3Retention {
  std::string mode;
  core::WallTime until{};
};

// The retention of an object of this tenant. It depends on the record's time and not on now, so
// that a repeated PUT asks for the same; nullopt where there is none or it would have ended within
// a minute, because stores refuse a time that has passed.
[[nodiscard]] std::optional<S3Retention> retention_of(const S3Options& options,
                                                      const core::PutObject& object,
                                                      core::WallTime now);

// "2026-11-21T04:05:06Z", rounded up; S3 takes and shows that.
[[nodiscard]] std::string s3_time(core::WallTime time);

// The fields of a PUT or of the creation of a multipart upload.
[[nodiscard]] core::sigv4::NamedValues option_fields(const S3Options& options,
                                                     const core::PutObject& object,
                                                     const std::optional<S3Retention>& retention);
// The tags of an object of this tenant, in the order they are sent.
[[nodiscard]] core::sigv4::NamedValues tags_of(const S3Options& options, std::string_view tenant);

// Whether the fields of a HEAD show at least this retention.
[[nodiscard]] bool shows_retention(const core::http::Fields& head, const S3Retention& retention);
// What was asked for and the fields of a HEAD do not show: "archive.s3_tags", …
[[nodiscard]] std::vector<std::string> forgotten(const S3Options& options,
                                                 const core::PutObject& object,
                                                 const std::optional<S3Retention>& retention,
                                                 const core::http::Fields& head);
[[nodiscard]] core::ObjectLock lock_shown(const core::http::Fields& head);

// "a=1,b=2". Errors say what is wrong, without the name of the setting.
[[nodiscard]] core::Result<core::sigv4::NamedValues> parse_named_values(std::string_view text);
[[nodiscard]] core::Result<std::map<std::string, std::uint64_t>> parse_days_by_tenant(
    std::string_view text);
// S3's bounds for tags and metadata; empty = sound.
[[nodiscard]] std::string fault_in_tags(const core::sigv4::NamedValues& tags, bool tag_tenant);
[[nodiscard]] std::string fault_in_metadata(const core::sigv4::NamedValues& metadata);

}  // namespace daybook::storage
