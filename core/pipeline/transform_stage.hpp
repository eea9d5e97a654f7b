// The stage before archive, where transforms are configured: changes the attributes that object,
// row and feed will have. The buffered original stays what it is, and every walk begins with it.
//
// A record that is walked again may have been archived already, transformed by other rules or other
// answers: what was archived first stays. A record whose row is there is only released; an object
// without its row stays, too, where the store can tell (put_object).
#pragma once

#include "core/budget.hpp"
#include "core/pipeline/fresh_records.hpp"
#include "core/pipeline/stage.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/transform/transform.hpp"

namespace daybook::core::pipeline {

class TransformStage final : public Stage {
 public:
  struct Settings {
    std::size_t records_max = 64;  // attempts at a time, most of them waiting for transformers
    std::size_t payloads_max = 8;  // payloads that are read at a time
    Duration timeout{};
    RetryPolicy retry{
        .attempts_max = 3, .first = std::chrono::seconds(1), .longest = std::chrono::minutes(1)};
  };
  TransformStage(Runtime& runtime, Workers& workers, WriteAheadBuffer& buffer, FreshRecords& fresh,
                 MetadataStore& metadata, const transform::Transforms& transforms,
                 Settings settings);

  [[nodiscard]] std::string_view name() const override { return "transform"; }
  [[nodiscard]] std::size_t concurrency() const override { return settings_.records_max; }
  // Of what a transform itself does wrong; stores are waited for as in other stages.
  [[nodiscard]] const RetryPolicy* retry(const Error& error) const override;
  // Each service is a target of its own, and HttpTransformer's matter.
  [[nodiscard]] RetryBudget::Settings retry_budget() const override {
    return {.tokens_max = 1e9, .per_success = 0, .per_second = 1e9};
  }
  Task<Result<void>> run(Passage& passage) override;

 private:
  Task<Result<transform::PayloadValues>> read_payload(BufferEntry entry,
                                                      std::vector<JsonPointer> pointers);
  Task<Result<Envelope>> read_envelope(BufferEntry entry);

  Runtime& runtime_;
  Workers& workers_;
  WriteAheadBuffer& buffer_;
  FreshRecords& fresh_;
  MetadataStore& metadata_;
  const transform::Transforms& transforms_;
  Settings settings_;
  Budget payloads_;
};

// The values at pointers of the payload in a stored record, which is decompressed frame by frame.
// Code::damaged: the frames are. Any thread.
[[nodiscard]] Result<transform::PayloadValues> payload_values(
    const Slices& stored, const OpenedHead& head, const std::vector<JsonPointer>& pointers);

}  // namespace daybook::core::pipeline
