// S3Store's multipart uploads, for objects above Settings::multipart_threshold: create, parts one
// after the other, complete, prove. An upload that fails is aborted; one whose writer died is found
// by clean_up. The store's word about the parts is not taken for the whole: the object must have
// the ETag of exactly these parts, or it is read back.
#include <utility>

#include "core/text.hpp"
#include "storage/blocking_call.hpp"
#include "storage/s3_call.hpp"
#include "storage/s3_checksums.hpp"
#include "storage/s3_xml.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr auto kAbortTime = std::chrono::seconds(10);  // also when the put's own time is over
constexpr auto kDeadAfter = std::chrono::hours(24);
constexpr std::uint64_t kUploadsBytesMax = 8 * core::MiB;

// `length` bytes from `offset` on; shares the bytes.
core::Slices cut(const core::Slices& body, std::uint64_t offset, std::uint64_t length) {
  core::Slices part;
  for (const core::Bytes slice : body) {
    if (length == 0) break;
    if (offset >= slice.size()) {
      offset -= slice.size();
      continue;
    }
    const auto taken =
        slice.subspan(offset).first(std::min<std::uint64_t>(length, slice.size() - offset));
    part.push_back(taken);
    length -= taken.size();
    offset = 0;
  }
  return part;
}

// An upload that is gone (aborted by somebody, or lost) is begun anew by the next attempt.
core::Error error_of_part(const io::HttpResponse& response, const std::string& doing) {
  core::Error error = s3_error_of(response, doing);
  if (error.code == Code::not_found) {
    error.code = Code::unavailable;
    error.retry = Retry::safe;
  }
  return error;
}

struct Digests {
  core::Sha256 sha256;
  std::array<std::byte, 16> md5{};
};

}  // namespace

struct S3Store::Upload {
  core::PutObject object;
  std::string id;
  std::vector<S3Part> parts;
  core::ByteVector md5s;  // of the parts, one behind the other

  // S3's ETag of such an object: the MD5 of the parts' MD5s, and their number.
  [[nodiscard]] std::string etag() const {
    return core::to_hex(core::md5({core::Bytes(md5s)})) + "-" + std::to_string(parts.size());
  }
};

Task<Result<core::ObjectVersion>> S3Store::put_in_parts(core::PutObject object,
                                                        core::Deadline deadline) {
  // Completing an upload replaces what is there, and not every store that honours If-None-Match on
  // a PUT does so then. The parts are not known yet, so only the bytes can prove that they are the
  // same.
  auto same = co_await find_same(object, "", deadline);
  if (same || same.error().code != Code::not_found) co_return same;

  const std::string doing = "POST " + settings_.bucket + "/" + object.key + "?uploads";
  Call call{.method = "POST", .key = object.key, .query = {{"uploads", ""}}};
  call.fields = fields_of(object);
  if (honours(&S3Findings::checksums)) {
    call.fields.emplace_back("x-amz-checksum-algorithm", "SHA256");
  }
  const auto response = co_await send(std::move(call), deadline);
  if (!response) co_return pass(response);
  if (!is_s3_success(*response)) co_return core::Failure(s3_put_error_of(*response, doing));
  const auto upload = std::make_shared<Upload>();
  upload->object = std::move(object);
  upload->id = parse_upload_id(core::as_text(response->body));
  if (upload->id.empty()) {
    co_return s3_failure(Code::unavailable, Retry::safe, doing + ": the store named no upload.");
  }
  Result<core::ObjectVersion> stored;
  // The answer to this request is the one that names the encryption of the whole.
  if (!core::equals_ignoring_case(
          response->head.fields.find("x-amz-server-side-encryption").value_or(""),
          options_.encryption) &&
      !options_.encryption.empty()) {
    stored = s3_failure(Code::misconfigured, Retry::never,
                        doing +
                            ": the store does not say that it encrypts "
                            "(archive.s3_encryption); nothing was stored.");
  } else {
    stored = co_await fill(upload, deadline);
  }
  if (!stored) {
    // Should this fail too, clean_up finds the upload.
    static_cast<void>(
        co_await abort_upload(upload->object.key, upload->id, runtime_.steady_now() + kAbortTime));
  }
  co_return stored;
}

Task<Result<core::ObjectVersion>> S3Store::fill(std::shared_ptr<Upload> upload,
                                                core::Deadline deadline) {
  const std::uint64_t total = core::total_bytes(upload->object.body);
  for (std::uint64_t offset = 0; offset < total; offset += settings_.part_bytes) {
    auto done =
        co_await put_part(upload, cut(upload->object.body, offset, settings_.part_bytes), deadline);
    if (!done) co_return pass(done);
  }
  co_return co_await complete(upload, deadline);
}

Task<Result<void>> S3Store::put_part(std::shared_ptr<Upload> upload, core::Slices part,
                                     core::Deadline deadline) {
  const auto digests = co_await call_on<Digests>(
      workers_, Origin::object_store,
      [part]() -> Result<Digests> { return Digests{core::sha256(part), core::md5(part)}; });
  if (!digests) co_return pass(digests);
  const std::string number = std::to_string(upload->parts.size() + 1);
  Call call{.method = "PUT",
            .key = upload->object.key,
            .query = {{"partNumber", number}, {"uploadId", upload->id}},
            .body = std::move(part),
            .sha256 = digests->sha256};
  call.fields.emplace_back("Content-MD5", core::to_base64(digests->md5));
  S3Part done;
  if (honours(&S3Findings::checksums)) {
    done.sha256 = core::to_base64(digests->sha256.bytes);
    call.fields.emplace_back("x-amz-checksum-sha256", done.sha256);
  }
  const auto response = co_await send(std::move(call), deadline);
  if (!response) co_return pass(response);
  const std::string doing =
      "PUT " + settings_.bucket + "/" + upload->object.key + " part " + number;
  if (!is_s3_success(*response)) co_return core::Failure(error_of_part(*response, doing));
  done.etag = response->head.fields.find("etag").value_or("");
  if (done.etag.empty()) {
    co_return s3_failure(Code::damaged, Retry::safe,
                         doing + ": the store named no ETag, without which there is no whole.");
  }
  upload->parts.push_back(std::move(done));
  upload->md5s.insert(upload->md5s.end(), digests->md5.begin(), digests->md5.end());
  co_return Result<void>{};
}

Task<Result<core::ObjectVersion>> S3Store::complete(std::shared_ptr<Upload> upload,
                                                    core::Deadline deadline) {
  const core::PutObject& object = upload->object;
  const std::string document = complete_document(upload->parts);
  Call call{.method = "POST", .key = object.key, .query = {{"uploadId", upload->id}}};
  call.set_document(document);
  if (honours(&S3Findings::conditional_put)) call.fields.emplace_back("If-None-Match", "*");
  const auto response = co_await send(std::move(call), deadline);
  // S3 sends 200 first and may find out later that it failed; then the body is an error. It may
  // also have done everything and only the answer was lost. Either way the object tells.
  auto stored = co_await find_same(object, upload->etag(), deadline);
  if (stored || stored.error().code == Code::conflict) co_return stored;
  if (!response) co_return pass(response);
  if (!is_s3_success(*response)) {
    co_return core::Failure(
        error_of_part(*response, "POST " + settings_.bucket + "/" + object.key + "?uploadId"));
  }
  core::Error error = std::move(stored).error();
  error.retry = Retry::unknown_outcome;
  error.detail = "The store said that the upload is complete, and then: " + error.detail;
  co_return core::Failure(std::move(error));
}

Task<Result<void>> S3Store::abort_upload(std::string key, std::string upload_id,
                                         core::Deadline deadline) {
  const auto response = co_await send(
      {.method = "DELETE", .key = key, .query = {{"uploadId", std::move(upload_id)}}}, deadline);
  if (!response) co_return pass(response);
  // 404: it is gone already.
  if (response->head.status == 204 || response->head.status == 404) co_return Result<void>{};
  co_return core::Failure(
      s3_error_of(*response, "DELETE " + settings_.bucket + "/" + key + "?uploadId"));
}

Task<Result<std::uint64_t>> S3Store::clean_up(core::Deadline deadline) {
  const std::string prefix = settings_.prefix.empty() ? "" : settings_.prefix + "/";
  const core::WallTime dead = runtime_.now() - kDeadAfter;
  std::uint64_t aborted = 0;
  std::string next_key;
  std::string next_upload_id;
  for (;;) {
    Call call{.method = "GET", .query = {{"uploads", ""}}};
    call.response_bytes_max = kUploadsBytesMax;
    if (!prefix.empty()) call.query.emplace_back("prefix", prefix);
    if (!next_key.empty()) call.query.emplace_back("key-marker", next_key);
    if (!next_upload_id.empty()) call.query.emplace_back("upload-id-marker", next_upload_id);
    const auto response = co_await send(std::move(call), deadline);
    if (!response) co_return pass(response);
    if (!is_s3_success(*response)) {
      co_return core::Failure(
          s3_error_of(*response, "listing the multipart uploads of " + settings_.bucket));
    }
    const auto page = parse_uploads(core::as_text(response->body));
    if (!page) co_return pass(page);
    for (const S3Upload& upload : page->uploads) {
      if (upload.initiated > dead || !upload.key.starts_with(prefix)) continue;
      auto gone = co_await abort_upload(upload.key, upload.upload_id, deadline);
      if (!gone) co_return pass(gone);
      ++aborted;
    }
    if (page->next_key.empty() || page->next_key < next_key) co_return aborted;
    next_key = page->next_key;
    next_upload_id = page->next_upload_id;
  }
}

}  // namespace daybook::storage
