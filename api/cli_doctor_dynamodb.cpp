// The doctor's questions to a DynamoDB service: do endpoint, region and keys work together, and is
// the table there, ours and ready? They are asked through the client that serve would use.
#include "api/cli_doctor.hpp"
#include "api/dynamodb_store.hpp"
#include "io/worker_pool.hpp"
#include "storage/dynamodb_metadata.hpp"
#include "storage/dynamodb_schema.hpp"

namespace daybook::api {
namespace {

using core::Result;

// The clients close their connections when this frame goes, which lets the runtime's loop end.
core::Task<Result<core::SchemaStatus>> look_at_table(io::IoRuntime& runtime,
                                                     const core::Config& config) {
  io::WorkerPool worker(runtime, 1, "daybook-keys");
  auto client = open_dynamodb_client(config, runtime, worker);
  if (!client) co_return pass(std::move(client));
  storage::DynamodbSchema schema(std::move(*client));
  co_return co_await schema.status(runtime.steady_now() + std::chrono::seconds(10));
}

std::string by_hand(const core::Config& config) {
  std::string command = "aws dynamodb describe-table --table-name " +
                        config.metadata_dynamodb_table + " --region " +
                        config.metadata_dynamodb_region;
  if (!config.metadata_dynamodb_endpoint.empty()) {
    command += " --endpoint-url " + config.metadata_dynamodb_endpoint;
  }
  return command;
}

std::string mend_of(const core::Error& error, const core::Config& config) {
  switch (error.code) {
    case core::Code::denied:
      return "Mend metadata.dynamodb_access_key and dynamodb_secret_key, their permissions, "
             "dynamodb_region or this machine's clock; by hand: " +
             by_hand(config);
    case core::Code::unavailable:
    case core::Code::timeout:
    case core::Code::closed:
      return "Is the service up, and metadata.dynamodb_endpoint right? By hand: " + by_hand(config);
    default:
      return "Check metadata.dynamodb_endpoint, dynamodb_region and dynamodb_table; by hand: " +
             by_hand(config);
  }
}

std::string mend_of(core::SchemaState state) {
  switch (state) {
    case core::SchemaState::missing:
    case core::SchemaState::older:
      return "daybook metadata migrate (with the same configuration); if the table is elsewhere, "
             "mend metadata.dynamodb_table, dynamodb_region or dynamodb_endpoint";
    case core::SchemaState::newer:
      return "Run the newer Daybook here, or choose another metadata.dynamodb_table";
    default:
      return "Choose another metadata.dynamodb_table, then: daybook metadata migrate";
  }
}

}  // namespace

void Doctor::examine_dynamodb() {
  const std::string subject = "metadata (dynamodb)";
  if (auto usable = io::probe_backend(); !usable) {
    return note(Verdict::warn, subject, "not asked, because the runtime does not work",
                "Mend the runtime first");
  }
  const auto status = io::run_to_completion<Result<core::SchemaStatus>>(
      [this](io::IoRuntime& runtime) { return look_at_table(runtime, config_); });
  if (!status) {
    return note(Verdict::fail, subject, status.error().detail, mend_of(status.error(), config_));
  }
  if (status->state != core::SchemaState::current) {
    return note(Verdict::fail, subject, status->detail, mend_of(status->state));
  }
  note(Verdict::ok, subject,
       "the table " + config_.metadata_dynamodb_table +
           " and its index are there for these keys; whether they may write shows at the first "
           "record");
}

}  // namespace daybook::api
