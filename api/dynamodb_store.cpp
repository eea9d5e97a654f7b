#include "api/dynamodb_store.hpp"

#include "api/aws_setup.hpp"

namespace daybook::api {

core::Result<std::unique_ptr<storage::DynamodbClient>> open_dynamodb_client(
    const core::Config& config, io::IoRuntime& runtime, core::Workers& workers) {
  storage::DynamodbClient::Settings settings;
  settings.endpoint = config.metadata_dynamodb_endpoint;
  settings.region = config.metadata_dynamodb_region;
  settings.table = config.metadata_dynamodb_table;
  AwsSettings aws;
  aws.access_key = config.metadata_dynamodb_access_key;
  aws.secret_key = config.metadata_dynamodb_secret_key;
  aws.region = config.metadata_dynamodb_region;
  settings.signer =
      make_aws_signer(aws, aws.region, storage::process_variables(), runtime, workers);
  settings.ca_file = config.metadata_dynamodb_ca_file;
  settings.connections = config.metadata_dynamodb_connections;
  return storage::DynamodbClient::open(std::move(settings), runtime);
}

}  // namespace daybook::api
