// S3Store's locks: retention, legal holds and tags of objects that are there already. No such
// request is sent to a store that was not seen to have the thing: Swift's S3 front, for one, takes
// PUT key?legal-hold for a PUT of the key and replaces the object by the document.
#include <utility>

#include "core/text.hpp"
#include "storage/s3_call.hpp"
#include "storage/s3_xml.hpp"

namespace daybook::storage {

using core::Code;
using core::Result;
using core::Retry;
using core::Task;

Task<Result<void>> S3Store::put_document(std::string key, std::string version, std::string what,
                                         std::string document, core::Deadline deadline) {
  Call call{.method = "PUT", .key = key, .query = {{what, ""}}};
  if (!version.empty()) call.query.emplace_back("versionId", version);
  call.set_document(document);
  const auto response = co_await send(std::move(call), deadline);
  if (!response) co_return pass(response);
  if (is_s3_success(*response)) co_return Result<void>{};
  co_return core::Failure(
      s3_error_of(*response, "PUT " + settings_.bucket + "/" + key + "?" + what));
}

// An object that is there already may lack what a new one would have got: it was stored before the
// setting was, or the store forgets options of multipart uploads (radosgw 16 does).
Task<Result<void>> S3Store::ensure_options(core::PutObject object, std::string version,
                                           core::http::Fields head, core::Deadline deadline) {
  const auto retention = retention_of(options_, object, runtime_.now());
  if (honours(&S3Findings::object_lock) && retention && !shows_retention(head, *retention)) {
    auto locked = co_await put_document(object.key, version, "retention",
                                        retention_document(*retention), deadline);
    if (!locked && options_.lock_required) co_return locked;
  }
  const auto tags = tags_of(options_, object.tenant);
  const bool tagged = head.find("x-amz-tagging-count").value_or("0") != "0";
  if (!tags.empty() && !tagged && findings_ && !findings_->forgot("archive.s3_tags")) {
    co_return co_await put_document(object.key, version, "tagging", tagging_document(tags),
                                    deadline);
  }
  co_return Result<void>{};
}

Task<Result<core::ObjectLock>> S3Store::lock_of(std::string key, std::string version,
                                                core::Deadline deadline) {
  auto sound = check_s3_key(key);
  if (!sound) co_return pass(sound);
  Call call{.method = "HEAD", .key = key};
  if (!version.empty()) call.query.emplace_back("versionId", version);
  const auto head = co_await send(std::move(call), deadline);
  if (!head) co_return pass(head);
  if (head->head.status != 200) {
    co_return core::Failure(s3_error_of(*head, "HEAD " + settings_.bucket + "/" + key));
  }
  co_return lock_shown(head->head.fields);
}

Task<Result<void>> S3Store::hold(std::string key, std::string version, bool on,
                                 core::Deadline deadline) {
  auto sound = check_s3_key(key);
  if (!sound) co_return sound;
  if (settings_.learns) {
    if (auto learned = co_await ensure_learned(deadline); !findings_) co_return learned;
  }
  if (!honours(&S3Findings::object_lock)) {
    co_return s3_failure(Code::unsupported, Retry::never,
                         "The bucket " + settings_.bucket +
                             " has no Object Lock, as far as this key may see "
                             "(s3:GetBucketObjectLockConfiguration), so it has no legal holds.");
  }
  auto done = co_await put_document(key, version, "legal-hold", legal_hold_document(on), deadline);
  if (!done) co_return done;
  const auto lock = co_await lock_of(key, version, deadline);
  if (!lock) co_return pass(lock);
  if (lock->held == on) co_return Result<void>{};
  co_return s3_failure(Code::unavailable, Retry::safe,
                       "The store took the legal hold of " + key +
                           " and does not show it; this key "
                           "may need s3:GetObjectLegalHold.");
}

}  // namespace daybook::storage
