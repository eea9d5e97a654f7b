#include "api/metadata_store.hpp"

#include <spdlog/spdlog.h>

#include "api/dynamodb_store.hpp"
#include "core/check.hpp"
#include "io/worker_pool.hpp"
#include "storage/dynamodb_metadata.hpp"
#include "storage/dynamodb_schema.hpp"
#include "storage/postgres_metadata.hpp"
#include "storage/postgres_schema.hpp"
#include "storage/sqlite_metadata.hpp"
#include "storage/sqlite_schema.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::Task;

constexpr auto kStartPatience = std::chrono::seconds(5);

Task<Result<core::SchemaStatus>> look_at_schema(const core::Config& config,
                                                io::IoRuntime& runtime) {
  io::WorkerPool worker(runtime, 1, "daybook-schema");
  auto schema = open_metadata_schema(config, runtime, worker);
  if (!schema) co_return pass(std::move(schema));
  co_return co_await (*schema)->status(runtime.steady_now() + kStartPatience);
}

}  // namespace

storage::PostgresSettings postgres_settings(const core::Config& config) {
  auto address = storage::parse_postgres_url(config.metadata_postgresql_url);
  CHECK(address.has_value());
  return {.address = std::move(*address),
          .password = config.metadata_postgresql_password,
          .connections = config.metadata_postgresql_connections,
          .statement_timeout = config.metadata_postgresql_statement_timeout};
}

Result<std::unique_ptr<core::MetadataStore>> open_metadata_store(const core::Config& config,
                                                                 io::IoRuntime& runtime,
                                                                 core::Workers& writer,
                                                                 core::Workers& reader) {
  if (config.metadata_kind == "postgresql") {
    return std::make_unique<storage::PostgresMetadata>(runtime, postgres_settings(config));
  }
  if (config.metadata_kind == "dynamodb") {
    auto client = open_dynamodb_client(config, runtime, reader);
    if (!client) return pass(std::move(client));
    return std::make_unique<storage::DynamodbMetadata>(std::move(*client));
  }
  auto store = storage::SqliteMetadata::open(
      {config.metadata_sqlite_file, config.metadata_sqlite_busy_timeout}, writer, reader);
  if (!store) return pass(std::move(store));
  return std::unique_ptr<core::MetadataStore>(std::move(*store));
}

Result<std::unique_ptr<core::MetadataSchema>> open_metadata_schema(const core::Config& config,
                                                                   io::IoRuntime& runtime,
                                                                   core::Workers& worker) {
  if (config.metadata_kind == "postgresql") {
    return std::make_unique<storage::PostgresSchema>(runtime, postgres_settings(config));
  }
  if (config.metadata_kind == "dynamodb") {
    auto client = open_dynamodb_client(config, runtime, worker);
    if (!client) return pass(std::move(client));
    return std::make_unique<storage::DynamodbSchema>(std::move(*client));
  }
  return std::make_unique<storage::SqliteSchema>(
      storage::SqliteMetadata::Settings{config.metadata_sqlite_file,
                                        config.metadata_sqlite_busy_timeout},
      worker);
}

Result<void> check_metadata_schema(const core::Config& config) {
  if (config.metadata_kind != "postgresql") return {};
  const auto status = io::run_to_completion<Result<core::SchemaStatus>>(
      [&](io::IoRuntime& runtime) { return look_at_schema(config, runtime); });
  if (!status) {
    spdlog::warn(
        "metadata: {} Records are taken all the same; they are indexed when this is mended",
        status.error().detail);
    return {};
  }
  if (status->state == core::SchemaState::current) return {};
  // A table that is not there, or not ready yet, does not keep records out: the store looks for it
  // again each second, and they are indexed as soon as it is there.
  if (config.metadata_kind == "dynamodb" &&
      (status->state == core::SchemaState::missing || status->state == core::SchemaState::older)) {
    spdlog::warn("metadata: {} Records are taken all the same; they are indexed then",
                 status->detail);
    return {};
  }
  return core::fail(core::Code::misconfigured, core::Origin::metadata, core::Retry::never,
                    status->detail);
}

}  // namespace daybook::api
