// An S3Store on a FakeBucket, for the tests of what it does about stores that differ.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/worker_pool.hpp"
#include "storage/s3_store.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/storage/s3_fake_bucket.hpp"

namespace daybook::tests {

struct S3Bench {
  explicit S3Bench(FakeBucket::Traits traits, storage::S3Options options = {},
                   std::uint64_t multipart_threshold = 64 * core::MiB)
      : bucket(std::move(traits)) {
    settings.endpoint = bucket.endpoint();
    settings.bucket = "bucket";
    settings.prefix = "records";
    settings.access_key = "key";
    settings.secret_key = "secret";
    settings.options = std::move(options);
    settings.multipart_threshold = multipart_threshold;
    settings.part_bytes = 5 * core::MiB;
    restart();
  }
  // As after a crash: nothing is known of the store.
  void restart() {
    store.reset();
    store = storage::S3Store::open(settings, runtime, workers).value();
  }
  core::PutObject object(std::string_view body, const std::string& tenant = "bank",
                         const std::string& key = "records/a") {
    return {.key = key,
            .body = {core::as_bytes(body)},
            .sha256 = core::sha256(core::as_bytes(body)),
            .content_type = "text/plain",
            .metadata = {},
            .tenant = tenant,
            .received_at = runtime.now()};
  }
  core::Result<core::ObjectVersion> put(std::string_view body) { return put(object(body)); }
  core::Result<core::ObjectVersion> put(core::PutObject object) {
    return run_on_io(runtime, store->put(std::move(object), soon()));
  }
  core::Result<void> probe() { return run_on_io(runtime, store->probe(soon())); }
  [[nodiscard]] core::StoreFact fact(const std::string& name) const {
    for (const core::StoreFact& fact : store->facts()) {
      if (fact.name == name) return fact;
    }
    return {};
  }

  FakeBucket bucket;
  io::IoRuntime runtime;
  io::WorkerPool workers{runtime, 1, "test"};
  storage::S3Store::Settings settings;
  std::unique_ptr<storage::S3Store> store;
};

}  // namespace daybook::tests
