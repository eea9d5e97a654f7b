// The doctor's questions to an S3 service: do endpoint, bucket and keys work together, where do the
// keys come from, and what does the store honour? They are asked once, through the store that serve
// would use, so that both see the same signature, certificate and clock.
#include <algorithm>

#include "api/cli_doctor.hpp"
#include "api/store_probe.hpp"
#include "core/text.hpp"
#include "io/runtime.hpp"

namespace daybook::api {
namespace {

// What the probe showed beside its outcome.
struct Seen {
  std::string source;  // of the credentials; "" where there are none
  std::optional<core::WallTime> expires;
  core::Duration clock_offset{};
};

AwsEvents watch(Seen& seen) {
  AwsEvents events;
  events.credentials.on_renewed = [&seen](const storage::AwsKeys& keys) {
    seen.source = keys.source;
    seen.expires = keys.expires;
  };
  events.on_clock_offset = [&seen](core::Duration offset) { seen.clock_offset = offset; };
  return events;
}

struct Mend {
  std::string_view word;  // in the error's sentence
  std::string_view what;
};

// The first that fits. The words are the store's codes, and those of our own TLS and sockets.
constexpr Mend kMends[] = {
    {"There are no AWS credentials",
     "Set archive.s3_access_key and archive.s3_secret_key, or one of "
     "the places named above; archive.s3_credentials can name one"},
    {"AWS credentials from", "Mend that source, or name another in archive.s3_credentials"},
    {"InvalidAccessKeyId", "The access key is unknown to this store: mend it where it comes from"},
    {"SignatureDoesNotMatch",
     "The secret key does not belong to the access key: mend it where it "
     "comes from. A wrong archive.s3_region can do the same"},
    {"RequestTimeTooSkewed", "Set this machine's clock: timedatectl set-ntp true"},
    {"ExpiredToken",
     "The session token has expired: take archive.s3_credentials from a place that "
     "renews them, or set new keys and token"},
    {"InvalidToken", "Keys and session token do not belong together: set all three anew"},
    {"It names the region", "Set archive.s3_region to the region that the store names"},
    {"AuthorizationHeaderMalformed", "Set archive.s3_region to the bucket's region"},
    {"IllegalLocationConstraint", "Set archive.s3_region to the bucket's region"},
    {"NoSuchBucket", "Create the bucket, or mend archive.s3_bucket"},
    {"is not for the name",
     "Name the host that the certificate is for in archive.s3_endpoint, or "
     "give the store a certificate with this name"},
    {"authority is not in", "Set archive.s3_ca_file to the PEM file of the store's authority"},
    {"certificate has expired", "Renew the store's certificate, or set this machine's clock"},
    {"certificate is not yet valid", "Set this machine's clock: timedatectl set-ntp true"},
    {"certificate is not accepted", "Renew the store's certificate"},
    {"AccessDenied", "Let the key's policy allow s3:ListBucket, s3:GetObject and s3:PutObject"},
    {"archive.lock_mode", "ops/s3.md says how to make a bucket with Object Lock"},
    {"archive.s3_encryption", "ops/s3.md says what each store supports"},
    {"asks for: ", "ops/s3.md says what each store supports"},
    {"cannot connect", "Check archive.s3_endpoint, and that the store runs and is reachable"},
};

std::string mend_of(const std::string& detail, const core::Config& config) {
  for (const Mend& mend : kMends) {
    if (detail.find(mend.word) != std::string::npos) return std::string(mend.what);
  }
  std::string by_hand = "aws ";
  if (!config.archive_s3_endpoint.empty()) {
    by_hand += "--endpoint-url " + config.archive_s3_endpoint + " ";
  }
  return "Check archive.s3_endpoint, s3_region, s3_bucket and the keys; by hand: " + by_hand +
         "s3 ls s3://" + config.archive_s3_bucket;
}

}  // namespace

void Doctor::examine_s3() {
  const std::string subject = "archive (s3)";
  if (auto usable = io::probe_backend(); !usable) {
    return note(Verdict::warn, subject, "not asked, because the runtime does not work",
                "Mend the runtime first");
  }
  Seen seen;
  const StoreReport report = probe_object_store(config_, watch(seen));
  if (!config_.archive_s3_access_key.empty()) seen.source = "the settings";
  if (!seen.source.empty()) {
    note(Verdict::ok, "s3 credentials",
         "from " + seen.source +
             (seen.expires ? ", valid until " + core::format_time(*seen.expires) : ""));
  }
  if (seen.clock_offset != core::Duration{}) {
    const auto seconds = std::chrono::round<std::chrono::seconds>(seen.clock_offset).count();
    note(Verdict::warn, "s3 clock",
         "the store's clock is " + std::to_string(std::abs(seconds)) + " s " +
             (seconds > 0 ? "ahead of" : "behind") +
             " this machine's; requests are signed with the store's time",
         "Set this machine's clock: timedatectl set-ntp true");
  }
  if (report.verdict) {
    note(Verdict::ok, subject, report.store + " answers to these keys, and they may write");
  } else {
    const std::string& detail = report.verdict.error().detail;
    note(Verdict::fail, subject, detail, mend_of(detail, config_));
  }
  for (const core::StoreFact& fact : report.facts) {
    if (fact.finding == "unknown" && !report.verdict) continue;
    std::string name = fact.name;
    std::ranges::replace(name, '_', ' ');
    note(fact.good ? Verdict::ok : Verdict::warn, "s3 " + name,
         fact.finding + (fact.detail.empty() ? "" : ": " + fact.detail),
         "Choose a store that does, or change the setting");
  }
}

}  // namespace daybook::api
