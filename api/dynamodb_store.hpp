// What the configuration says about DynamoDB, as the store, the schema and the doctor want it.
#pragma once

#include <memory>

#include "core/config.hpp"
#include "core/ports/workers.hpp"
#include "core/result.hpp"
#include "io/runtime.hpp"
#include "storage/dynamodb_client.hpp"

namespace daybook::api {

// Touches no network. runtime and workers must outlive the client. Keys: the settings' own, or else
// those that the AWS tools would find.
[[nodiscard]] core::Result<std::unique_ptr<storage::DynamodbClient>> open_dynamodb_client(
    const core::Config& config, io::IoRuntime& runtime, core::Workers& workers);

}  // namespace daybook::api
