#include "api/store_probe.hpp"

#include <utility>

#include "api/object_store.hpp"
#include "io/worker_pool.hpp"

namespace daybook::api {
namespace {

constexpr auto kTime = std::chrono::seconds(10);

// The store closes its connections when this frame goes, which lets the runtime's loop end.
core::Task<> ask(io::IoRuntime& runtime, core::Workers& workers, const core::Config& config,
                 AwsEvents events, StoreReport& report) {
  auto store = open_object_store(config, runtime, workers, false, std::move(events));
  if (!store) {
    report.verdict = pass(std::move(store));
    co_return;
  }
  report.store = (*store)->describe();
  report.verdict = co_await (*store)->probe(runtime.steady_now() + kTime);
  report.facts = (*store)->facts();
}

}  // namespace

StoreReport probe_object_store(const core::Config& config, AwsEvents events) {
  StoreReport report;
  io::IoRuntime runtime;
  io::WorkerPool workers(runtime, 1, "daybook-probe");
  runtime.spawn(ask(runtime, workers, config, std::move(events), report));
  runtime.run();
  return report;
}

}  // namespace daybook::api
