#include "api/object_store.hpp"

#include "api/s3_settings.hpp"
#include "storage/file_store.hpp"
#include "storage/s3_store.hpp"

namespace daybook::api {

core::Result<std::unique_ptr<core::ObjectStore>> open_object_store(const core::Config& config,
                                                                   io::IoRuntime& runtime,
                                                                   core::Workers& disk_workers,
                                                                   bool clean_up,
                                                                   AwsEvents events) {
  if (config.archive_kind == "s3") {
    const AwsSettings aws = s3_aws_settings(config);
    auto region = aws_region_of(aws, storage::process_variables());
    if (!region) return pass(std::move(region));
    storage::S3Store::Settings settings;
    settings.endpoint = config.archive_s3_endpoint;
    if (settings.endpoint.empty()) {
      if (region->empty()) {
        return core::fail(core::Code::misconfigured, core::Origin::object_store, core::Retry::never,
                          "archive.kind = \"s3\" needs archive.s3_endpoint, or for AWS itself a "
                          "region: set archive.s3_region or AWS_REGION, or the profile's region.");
      }
      settings.endpoint =
          aws_s3_endpoint(*region, config.archive_s3_dualstack, config.archive_s3_fips);
    }
    settings.region = region->empty() ? "us-east-1" : *region;
    settings.bucket = config.archive_s3_bucket;
    settings.virtual_host = config.archive_s3_virtual_host;
    settings.signer = make_aws_signer(aws, *region, storage::process_variables(), runtime,
                                      disk_workers, std::move(events));
    settings.ca_file = config.archive_s3_ca_file;
    settings.connections = config.archive_s3_connections;
    settings.prefix = config.archive_prefix;
    settings.options = s3_options(config);
    settings.multipart_threshold = config.archive_s3_multipart_threshold;
    settings.part_bytes = config.archive_s3_multipart_part;
    auto store = storage::S3Store::open(std::move(settings), runtime, disk_workers);
    if (!store) return pass(std::move(store));
    return std::unique_ptr<core::ObjectStore>(std::move(*store));
  }
  auto store = storage::FileStore::open({config.archive_file_dir, clean_up}, disk_workers);
  if (!store) return pass(std::move(store));
  return std::unique_ptr<core::ObjectStore>(std::move(*store));
}

}  // namespace daybook::api
