// DynamodbSchema: makes the metadata table with its index, and tells what state it is in. The
// layout is dynamodb_items.hpp's. I/O thread only.
//
// A table is ours and ready when its keys are ours, the index by_tenant is ACTIVE and the item
// `schema` has this program's version and is not marked unfinished, which is written last.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/ports/metadata_schema.hpp"
#include "storage/dynamodb_client.hpp"

namespace daybook::storage {

class DynamodbSchema final : public core::MetadataSchema {
 public:
  explicit DynamodbSchema(std::unique_ptr<DynamodbClient> client) : client_(std::move(client)) {}

  // rows stays unset: counting reads, and pays for, the whole table.
  core::Task<core::Result<core::SchemaStatus>> status(core::Deadline deadline) override;
  // Makes the table with capacity on demand, or adds the index to a table that lacks it, and waits
  // until both are ACTIVE. A table of version 1 gets its feed.
  core::Task<core::Result<std::vector<std::string>>> migrate(bool dry_run,
                                                             core::Deadline deadline) override;
  [[nodiscard]] std::string describe() const override { return client_->describe(); }

 private:
  core::Task<core::Result<void>> make(std::string operation, core::Deadline deadline);
  core::Task<core::Result<void>> publish_old(core::Deadline deadline);
  core::Task<core::Result<void>> write_version(bool unfinished, core::Deadline deadline);

  std::unique_ptr<DynamodbClient> client_;
};

// For the store: one cheap read, and a look at keys and index. Code::misconfigured with the mend
// where the table is not one this program may use.
core::Task<core::Result<void>> check_dynamodb_version(DynamodbClient& client,
                                                      core::Deadline deadline);
core::Task<core::Result<void>> check_dynamodb_shape(DynamodbClient& client,
                                                    core::Deadline deadline);

}  // namespace daybook::storage
