// The XML documents of S3 beside lists of objects and errors: multipart uploads, bucket settings,
// locks. Pure; any thread.
// Source: Amazon S3 API Reference, CompleteMultipartUpload, ListMultipartUploads,
// GetObjectLockConfiguration, GetBucketVersioning, PutObjectRetention, PutObjectLegalHold,
// PutObjectTagging.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/sigv4/sigv4.hpp"
#include "core/units.hpp"
#include "storage/s3_options.hpp"

namespace daybook::storage {

// Whether the document's first element is <name>. Stores that do not know a sub-resource answer the
// request without it, with another document and 200.
[[nodiscard]] bool is_document(std::string_view xml, std::string_view name);

// ---- bucket settings ----
[[nodiscard]] bool says_versioned(std::string_view versioning_configuration);
struct S3BucketLock {
  bool enabled = false;
  std::string default_rule;  // "GOVERNANCE for 30 days"; empty = none
};
[[nodiscard]] S3BucketLock parse_bucket_lock(std::string_view object_lock_configuration);

// ---- documents we send ----
[[nodiscard]] std::string retention_document(const S3Retention& retention);
[[nodiscard]] std::string legal_hold_document(bool on);
[[nodiscard]] std::string tagging_document(const core::sigv4::NamedValues& tags);

struct S3Part {
  std::string etag;    // as the store stated it
  std::string sha256;  // base64; empty where the store does not check it
};
// Parts 1, 2, …
[[nodiscard]] std::string complete_document(const std::vector<S3Part>& parts);

// ---- multipart uploads ----
// "" where the document names none.
[[nodiscard]] std::string parse_upload_id(std::string_view initiate_result);
struct S3Upload {
  std::string key;
  std::string upload_id;
  core::WallTime initiated{};
};
struct S3UploadPage {
  std::vector<S3Upload> uploads;
  std::string next_key;  // empty: this was the last page
  std::string next_upload_id;
};
[[nodiscard]] core::Result<S3UploadPage> parse_uploads(std::string_view document);

}  // namespace daybook::storage
