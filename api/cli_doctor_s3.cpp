// The doctor's question to an S3 service: do endpoint, bucket and keys work together? It is asked
// through the store that serve would use, so that both see the same signature, certificate and
// clock.
#include "api/cli_doctor.hpp"
#include "api/object_store.hpp"
#include "io/worker_pool.hpp"

namespace daybook::api {
namespace {

using core::Result;

// The store closes its connections when this frame goes, which lets the runtime's loop end.
core::Task<Result<std::string>> probe_store(io::IoRuntime& runtime, core::Workers& workers,
                                            const core::Config& config) {
  auto store = open_object_store(config, runtime, workers);
  if (!store) co_return pass(std::move(store));
  auto probed = co_await (*store)->probe(runtime.steady_now() + std::chrono::seconds(10));
  if (!probed) co_return pass(std::move(probed));
  co_return (*store)->describe();
}

}  // namespace

void Doctor::examine_s3() {
  const std::string subject = "archive (s3)";
  if (auto usable = io::probe_backend(); !usable) {
    return note(Verdict::warn, subject, "not asked, because the runtime does not work",
                "Mend the runtime first");
  }
  io::IoRuntime runtime;
  std::optional<Result<std::string>> outcome;
  {
    io::WorkerPool workers(runtime, 1, "daybook-doctor");
    runtime.spawn([](io::IoRuntime& owner, core::Workers& pool, const core::Config& config,
                     std::optional<Result<std::string>>& out) -> core::Task<> {
      out.emplace(co_await probe_store(owner, pool, config));
    }(runtime, workers, config_, outcome));
    runtime.run();
  }
  if (*outcome) {
    return note(
        Verdict::ok, subject,
        **outcome + " answers to these keys; whether they may write shows at the first record");
  }
  note(
      Verdict::fail, subject, outcome->error().detail,
      "Check archive.s3_endpoint, s3_region, s3_bucket and the keys; by hand: aws --endpoint-url " +
          config_.archive_s3_endpoint + " s3 ls s3://" + config_.archive_s3_bucket);
}

}  // namespace daybook::api
