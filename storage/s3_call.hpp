// What the parts of S3Store share (s3_store.cpp, s3_upload.cpp, s3_multipart.cpp, s3_probe.cpp,
// s3_lock.cpp): one request before it is signed, and its failures. For them only.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/digest.hpp"
#include "storage/s3_store.hpp"

namespace daybook::storage {

// Answers that are no object: error documents, bucket settings, lists of one key.
inline constexpr std::uint64_t kS3DocumentBytesMax = 1 * core::MiB;

// Hashing less than this holds up the I/O thread for less time than handing it to a worker would.
inline constexpr std::uint64_t kInlineHashBytes = 64 * core::KiB;

// Empty key: the bucket itself.
struct S3Store::Call {
  std::string method{};
  std::string key{};
  core::sigv4::NamedValues query{};
  core::sigv4::NamedValues fields{};
  core::Slices body{};
  core::Sha256 sha256 = core::sha256(core::Bytes{});
  std::uint64_t response_bytes_max = kS3DocumentBytesMax;

  // A small body of our own; text must outlive the call.
  void set_document(std::string_view text);
};

[[nodiscard]] core::Failure s3_failure(core::Code code, core::Retry retry, std::string detail);
// The Error of an answer that is not a success.
[[nodiscard]] core::Error s3_error_of(const io::HttpResponse& response, std::string_view doing);
// The same where something new was to be stored: what is not found then is the bucket.
[[nodiscard]] core::Error s3_put_error_of(const io::HttpResponse& response, std::string_view doing);
// A 200 with an error document in it is none.
[[nodiscard]] bool is_s3_success(const io::HttpResponse& response);

}  // namespace daybook::storage
