// Finds out, once per start, what the store honours of what it accepts. It writes to two keys of
// its own below the archive's prefix, which lists do not show:
//
//   daybook-probe         with the options of a record: lock (one day), encryption, class, tags,
//                         metadata. Written only where there are any; a HEAD says what was kept. In
//                         a bucket with locks it stays, and is used again until its lock ends.
//   daybook-probe-write   twice with If-None-Match: *, once with a wrong x-amz-checksum-sha256,
//   and,
//                         if that was refused, with the right one. Never locked by us; versions
//                         that this adds are deleted again where the key may.
#include <array>
#include <utility>

#include "core/text.hpp"
#include "storage/s3_call.hpp"
#include "storage/s3_errors.hpp"
#include "storage/s3_xml.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Result;
using core::Retry;
using core::Task;

constexpr std::string_view kProbeText =
    "With this object Daybook asks the store at each start what it honours.\n";
constexpr auto kProbeLock = std::chrono::days(1);
constexpr auto kProbeLockLeft = std::chrono::minutes(1);  // a lock that ends sooner is none

// 503 and its like say nothing about what the store honours.
bool is_definite(int status) {
  return (status < 500 || status == 501) && status != 408 && status != 409 && status != 429;
}

// What a record would meet as well.
bool is_refusal_of_everything(int status) {
  return status == 401 || status == 403 || status == 404;
}

std::string version_of(const io::HttpResponse& response) {
  const auto version = response.head.fields.find("x-amz-version-id").value_or("");
  return version == "null" ? "" : std::string(version);
}

std::string document_of(const io::HttpResponse& response) {
  return response.head.status == 200 ? std::string(core::as_text(response.body)) : "";
}

core::PutObject probe_object(std::string key) {
  const core::Bytes body = core::as_bytes(kProbeText);
  return {.key = std::move(key),
          .body = {body},
          .sha256 = core::sha256(body),
          .content_type = "text/plain",
          .metadata = {},
          .tenant = "daybook"};
}

}  // namespace

std::string S3Store::probe_key(std::string_view suffix) const {
  const std::string& prefix = settings_.prefix;
  return prefix + (prefix.empty() ? "" : "/") + "daybook-probe" + std::string(suffix);
}

bool S3Store::is_probe_key(std::string_view key) const {
  return key == probe_key("") || key == probe_key("-write");
}

Task<Result<void>> S3Store::probe(core::Deadline deadline) {
  if (!settings_.learns || (findings_ && promises_)) co_return co_await probe_bucket(deadline);
  if (findings_ && runtime_.steady_now() < learned_at_ + settings_.ask_again_after) {
    co_return promises_;
  }
  co_return co_await learn_once(deadline);
}

Task<Result<void>> S3Store::ensure_learned(core::Deadline deadline) {
  if (findings_) co_return promises_;
  co_return co_await learn_once(deadline);
}

// Whoever comes while the store is being asked waits for the answer and shares it.
Task<Result<void>> S3Store::learn_once(core::Deadline deadline) {
  if (learning_) {
    while (learning_) {
      if (!co_await learned_->wait(deadline)) {
        co_return s3_failure(Code::timeout, Retry::unknown_outcome,
                             describe() +
                                 ": the deadline passed while the store was being asked "
                                 "what it honours.");
      }
    }
    co_return promises_;
  }
  learning_ = true;
  auto found = co_await learn(deadline);
  learning_ = false;
  if (found) {
    promises_ = check_promises(settings_.options, *found, settings_.bucket);
    options_ = options_in_force(settings_.options, *found);
    findings_ = std::move(*found);
    learned_at_ = runtime_.steady_now();
  } else {
    promises_ = pass(found);
    // Nothing was stored yet, whatever became of the questions; a deadline keeps the port's word.
    core::Error& error = promises_.error();
    if (error.code != Code::timeout && error.retry == Retry::unknown_outcome) {
      error.retry = Retry::safe;
    }
  }
  learned_->notify_all();
  co_return promises_;
}

Task<Result<S3Findings>> S3Store::learn(core::Deadline deadline) {
  auto reachable = co_await probe_bucket(deadline);
  if (!reachable) co_return pass(std::move(reachable));
  auto found = co_await learn_bucket(deadline);
  if (found) found = co_await learn_options(std::move(*found), deadline);
  if (!found || !check_promises(settings_.options, *found, settings_.bucket)) co_return found;
  co_return co_await learn_writes(std::move(*found), deadline);
}

Task<Result<io::HttpResponse>> S3Store::ask(Call call, core::Deadline deadline) {
  const std::string doing =
      "Asking " + describe() + " what it honours (" + call.method + " " + call.key + ")";
  auto response = co_await send(std::move(call), deadline);
  if (response && !is_definite(response->head.status)) {
    co_return core::Failure(s3_error_of(*response, doing));
  }
  co_return response;
}

// A store that does not know a sub-resource answers with the list of the bucket, an error, or
// nothing; a key may also not be allowed to ask.
Task<Result<S3Findings>> S3Store::learn_bucket(core::Deadline deadline) {
  S3Findings found;
  const auto versioning = co_await ask({.method = "GET", .query = {{"versioning", ""}}}, deadline);
  if (!versioning) co_return pass(versioning);
  if (versioning->head.status == 200) {
    found.versioning = says_versioned(document_of(*versioning)) ? S3Answer::yes : S3Answer::no;
  }
  const auto locking = co_await ask({.method = "GET", .query = {{"object-lock", ""}}}, deadline);
  if (!locking) co_return pass(locking);
  if (locking->head.status != 403) {
    const S3BucketLock lock = parse_bucket_lock(document_of(*locking));
    found.object_lock = lock.enabled ? S3Answer::yes : S3Answer::no;
    found.default_rule = lock.default_rule;
  }
  co_return found;
}

Task<Result<io::HttpResponse>> S3Store::put_probe(core::PutObject probe, S3Options options,
                                                  std::optional<S3Retention> retention,
                                                  core::sigv4::NamedValues fields,
                                                  core::Deadline deadline) {
  Call call{.method = "PUT", .key = probe.key, .body = probe.body, .sha256 = probe.sha256};
  call.fields.emplace_back("Content-Type", probe.content_type);
  call.fields.emplace_back("Content-MD5", core::to_base64(core::md5(probe.body)));
  for (auto& field : option_fields(options, probe, retention)) {
    call.fields.push_back(std::move(field));
  }
  for (auto& field : fields) call.fields.push_back(std::move(field));
  auto response = co_await ask(std::move(call), deadline);
  if (response && is_refusal_of_everything(response->head.status)) {
    core::Error error = s3_error_of(*response, "PUT " + settings_.bucket + "/" + probe.key);
    if (retention) error.detail += " Locks need the permission s3:PutObjectRetention as well.";
    co_return core::Failure(std::move(error));
  }
  co_return response;
}

Task<Result<S3Findings>> S3Store::learn_options(S3Findings found, core::Deadline deadline) {
  S3Options wanted = settings_.options;
  if (found.object_lock == S3Answer::no) wanted.lock_mode.clear();
  if (!wanted.any()) co_return found;
  const core::PutObject probe = probe_object(probe_key(""));
  const core::WallTime now = runtime_.now();
  const auto until = [&](auto time) {
    return wanted.locks()
               ? std::optional(S3Retention{wanted.lock_mode,
                                           std::chrono::ceil<std::chrono::seconds>(now + time)})
               : std::nullopt;
  };
  std::string old_version;
  if (wanted.locks() || found.versioning == S3Answer::yes) {
    const auto before = co_await ask({.method = "HEAD", .key = probe.key}, deadline);
    if (!before) co_return pass(before);
    if (before->head.status == 200) {
      if (forgotten(wanted, probe, until(kProbeLockLeft), before->head.fields).empty()) {
        if (wanted.locks()) found.object_lock = S3Answer::yes;  // also where it may not be asked
        co_return found;
      }
      old_version = version_of(*before);
    }
  }
  const auto put = co_await put_probe(probe, wanted, until(kProbeLock), {}, deadline);
  if (!put) co_return pass(put);
  if (!is_s3_success(*put)) {
    found.refused = s3_error_of(*put, "PUT " + settings_.bucket + "/" + probe.key).detail;
    co_return found;
  }
  const auto after = co_await ask({.method = "HEAD", .key = probe.key}, deadline);
  if (!after) co_return pass(after);
  if (after->head.status != 200) {
    co_return core::Failure(s3_error_of(*after, "HEAD " + settings_.bucket + "/" + probe.key));
  }
  found.forgotten = forgotten(wanted, probe, until(kProbeLock), after->head.fields);
  if (wanted.locks() && !found.forgot("archive.lock_mode")) found.object_lock = S3Answer::yes;
  if (!old_version.empty()) co_await drop_version(probe.key, old_version, deadline);
  co_return found;
}

Task<Result<S3Findings>> S3Store::learn_writes(S3Findings found, core::Deadline deadline) {
  S3Options options = options_in_force(settings_.options, found);
  options.lock_mode.clear();
  const core::PutObject probe = probe_object(probe_key("-write"));
  std::vector<std::string> versions;
  const auto put = [&](core::sigv4::NamedValues fields) -> Task<Result<io::HttpResponse>> {
    return put_probe(probe, options, std::nullopt, std::move(fields), deadline);
  };
  const auto note = [&versions](const io::HttpResponse& response) {
    if (const std::string version = version_of(response); !version.empty()) {
      versions.push_back(version);
    }
  };
  // The first one may find the key free.
  for (int round = 0; round < 2; ++round) {
    const auto answer = co_await put({{"If-None-Match", "*"}});
    if (!answer) co_return pass(answer);
    note(*answer);
    found.conditional_put = answer->head.status == 412 ? S3Answer::yes : S3Answer::no;
    if (!is_s3_success(*answer)) break;
  }
  const auto checksum_of = [](core::Bytes bytes) {
    return core::sigv4::NamedValues{
        {"x-amz-sdk-checksum-algorithm", "SHA256"},
        {"x-amz-checksum-sha256", core::to_base64(core::sha256(bytes).bytes)}};
  };
  const auto wrong = co_await put(checksum_of({}));
  if (!wrong) co_return pass(wrong);
  note(*wrong);
  found.checksums = S3Answer::no;
  if (!is_s3_success(*wrong)) {
    // Refused because it is wrong, or because the store takes no checksum at all?
    const auto right = co_await put(checksum_of(core::as_bytes(kProbeText)));
    if (!right) co_return pass(right);
    note(*right);
    if (is_s3_success(*right)) found.checksums = S3Answer::yes;
  }
  for (const std::string& version : versions) {
    co_await drop_version(probe.key, version, deadline);
  }
  co_return found;
}

// Tidying up: a key that may not delete leaves a small version behind, which is not worth a word.
Task<> S3Store::drop_version(std::string key, std::string version, core::Deadline deadline) {
  Call call{
      .method = "DELETE", .key = std::move(key), .query = {{"versionId", std::move(version)}}};
  static_cast<void>(co_await send(std::move(call), deadline));
}

std::vector<core::StoreFact> S3Store::facts() const {
  return facts_of(settings_.options, findings_.value_or(S3Findings{}));
}

}  // namespace daybook::storage
