// S3Store's put: one PUT, the proof that the store holds these bytes, and what becomes of a key
// that is there already.
#include <utility>

#include "core/text.hpp"
#include "storage/blocking_call.hpp"
#include "storage/s3_call.hpp"
#include "storage/s3_checksums.hpp"
#include "storage/s3_errors.hpp"
#include "storage/s3_fields.hpp"

namespace daybook::storage {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

core::Error s3_put_error_of(const io::HttpResponse& response, std::string_view doing) {
  core::Error error = s3_error_of(response, doing);
  if (error.code == Code::not_found) {
    error.code = Code::misconfigured;
    error.detail += " Check archive.s3_endpoint and archive.s3_bucket.";
  }
  return error;
}

Task<Result<S3Store::Md5>> S3Store::md5_of(core::Slices body) {
  if (core::total_bytes(body) <= kInlineHashBytes) co_return core::md5(body);
  co_return co_await call_on<Md5>(
      workers_, Origin::object_store,
      [body = std::move(body)]() -> Result<Md5> { return core::md5(body); });
}

core::sigv4::NamedValues S3Store::fields_of(const core::PutObject& object) const {
  core::sigv4::NamedValues fields = {{"Content-Type", content_type_of(object)}};
  for (const auto& [name, value] : object.metadata) {
    fields.emplace_back("x-amz-meta-" + name, squeezed(value));
  }
  for (auto& field :
       option_fields(options_, object, retention_of(options_, object, runtime_.now()))) {
    fields.push_back(std::move(field));
  }
  return fields;
}

core::ObjectVersion S3Store::stored_as(const std::string& key,
                                       const core::http::Fields& answer) const {
  core::ObjectVersion stored{"s3://" + settings_.bucket + "/" + key,
                             std::string(answer.find("x-amz-version-id").value_or(""))};
  if (stored.version == "null") stored.version.clear();  // S3's word for none
  return stored;
}

Task<Result<core::ObjectVersion>> S3Store::put(core::PutObject object, core::Deadline deadline) {
  auto sound = check_s3_key(object.key);
  if (sound) sound = check_metadata(object);
  if (sound && settings_.learns) sound = co_await ensure_learned(deadline);
  if (!sound) co_return pass(sound);
  if (core::total_bytes(object.body) > settings_.multipart_threshold) {
    co_return co_await put_in_parts(std::move(object), deadline);
  }
  const auto md5 = co_await md5_of(object.body);
  if (!md5) co_return pass(md5);
  // Here a second PUT would not be refused, and its version may be locked for years.
  if (honours(&S3Findings::versioning) && !honours(&S3Findings::conditional_put)) {
    auto same = co_await find_same(object, core::to_hex(*md5), deadline);
    if (same || same.error().code != Code::not_found) co_return same;
  }
  co_return co_await put_whole(std::move(object), *md5, deadline);
}

Task<Result<core::ObjectVersion>> S3Store::put_whole(core::PutObject object, Md5 md5,
                                                     core::Deadline deadline) {
  Call call{.method = "PUT", .key = object.key, .body = object.body, .sha256 = object.sha256};
  call.fields = fields_of(object);
  call.fields.emplace_back("Content-MD5", core::to_base64(md5));
  if (honours(&S3Findings::checksums)) {
    call.fields.emplace_back("x-amz-sdk-checksum-algorithm", "SHA256");
    call.fields.emplace_back("x-amz-checksum-sha256", core::to_base64(object.sha256.bytes));
  }
  const bool conditional = honours(&S3Findings::conditional_put);
  if (conditional) call.fields.emplace_back("If-None-Match", "*");
  const auto response = co_await send(std::move(call), deadline);
  if (!response) co_return pass(response);

  const std::string doing = "PUT " + settings_.bucket + "/" + object.key;
  if (conditional && response->head.status == 412) {
    auto same = co_await find_same(object, core::to_hex(md5), deadline);
    if (!same && same.error().code == Code::not_found) {
      co_return s3_failure(Code::unavailable, Retry::safe,
                           doing +
                               ": the store says that the key exists, and then that it does "
                               "not.");
    }
    co_return same;
  }
  if (!is_s3_success(*response)) co_return core::Failure(s3_put_error_of(*response, doing));
  core::ObjectVersion stored = stored_as(object.key, response->head.fields);
  if (!confirms(response->head.fields, md5, object.sha256)) {
    auto same = co_await read_back(object.key, stored.version, object.sha256, deadline);
    if (!same) co_return pass(same);
  }
  co_return stored;
}

// `etag` is what an object of these bytes would have, without quotes.
Task<Result<core::ObjectVersion>> S3Store::find_same(core::PutObject object, std::string etag,
                                                     core::Deadline deadline) {
  const std::string doing = "HEAD " + settings_.bucket + "/" + object.key;
  Call call{.method = "HEAD", .key = object.key};
  if (honours(&S3Findings::checksums)) call.fields.emplace_back("x-amz-checksum-mode", "ENABLED");
  const auto head = co_await send(std::move(call), deadline);
  if (!head) co_return pass(head);
  if (head->head.status != 200) co_return core::Failure(s3_error_of(*head, doing));
  const core::http::Fields& fields = head->head.fields;
  core::ObjectVersion found = stored_as(object.key, fields);
  if (fields.count("content-length") == 0) {
    co_return s3_failure(Code::unavailable, Retry::safe,
                         doing + ": the store did not name the size.");
  }
  const bool sized = head->head.content_length == core::total_bytes(object.body);
  if (!sized || !names_bytes(fields, etag, object.sha256)) {
    // Another ETag proves nothing: encryption and parts have their own.
    Result<void> same =
        s3_failure(Code::damaged, Retry::safe, "");  // read_back's word for other bytes
    if (sized) same = co_await read_back(object.key, found.version, object.sha256, deadline);
    if (!same && same.error().code == Code::damaged) {
      co_return s3_failure(Code::conflict, Retry::never,
                           "PUT " + settings_.bucket + "/" + object.key +
                               ": the store has other bytes under this key. They are kept, and "
                               "ours are not stored.");
    }
    if (!same) co_return pass(same);
  }
  auto locked = co_await ensure_options(std::move(object), found.version, fields, deadline);
  if (!locked) co_return pass(locked);
  co_return found;
}

Task<Result<void>> S3Store::read_back(std::string key, std::string version, core::Sha256 sha256,
                                      core::Deadline deadline) {
  const auto body = co_await get_version(key, version, deadline);
  if (!body && body.error().code != Code::not_found) {
    core::Error error = body.error();
    if (error.retry == Retry::safe) error.retry = Retry::unknown_outcome;
    error.detail = "The store did not confirm the bytes it took, and reading them back failed: " +
                   error.detail;
    co_return core::Failure(std::move(error));
  }
  if (body) {
    const auto found = co_await call_on<core::Sha256>(
        workers_, Origin::object_store,
        [bytes = core::Bytes(*body)]() -> Result<core::Sha256> { return core::sha256(bytes); });
    if (!found) co_return pass(found);
    if (*found == sha256) co_return Result<void>{};
  }
  co_return s3_failure(Code::damaged, Retry::safe,
                       "PUT " + settings_.bucket + "/" + key + ": the store answered 200, but " +
                           (body ? "holds other bytes." : "has no such object."));
}

}  // namespace daybook::storage
