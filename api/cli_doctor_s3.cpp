// The doctor's questions to an S3 service: do endpoint, bucket and keys work together, and where do
// the keys come from? They are asked once, through the store that serve would use, so that both see
// the same signature, certificate and clock.
#include "api/cli_doctor.hpp"
#include "api/object_store.hpp"
#include "core/text.hpp"
#include "io/worker_pool.hpp"

namespace daybook::api {
namespace {

using core::Result;

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

// The store closes its connections when this frame goes, which lets the runtime's loop end.
core::Task<Result<std::string>> probe_store(io::IoRuntime& runtime, core::Workers& workers,
                                            const core::Config& config, Seen& seen) {
  auto store = open_object_store(config, runtime, workers, false, watch(seen));
  if (!store) co_return pass(std::move(store));
  auto probed = co_await (*store)->probe(runtime.steady_now() + std::chrono::seconds(10));
  if (!probed) co_return pass(std::move(probed));
  co_return (*store)->describe();
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
  io::IoRuntime runtime;
  Seen seen;
  std::optional<Result<std::string>> outcome;
  {
    io::WorkerPool workers(runtime, 1, "daybook-doctor");
    runtime.spawn([](io::IoRuntime& owner, core::Workers& pool, const core::Config& config,
                     Seen& also, std::optional<Result<std::string>>& out) -> core::Task<> {
      out.emplace(co_await probe_store(owner, pool, config, also));
    }(runtime, workers, config_, seen, outcome));
    runtime.run();
  }
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
  if (*outcome) {
    return note(
        Verdict::ok, subject,
        **outcome + " answers to these keys; whether they may write shows at the first record");
  }
  const std::string& detail = outcome->error().detail;
  note(Verdict::fail, subject, detail, mend_of(detail, config_));
}

}  // namespace daybook::api
