#include "api/auditor.hpp"

#include <spdlog/spdlog.h>

#include "core/digest.hpp"
#include "core/segment.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::MetadataRow;
using core::RecordId;
using core::Result;
using core::Task;

constexpr auto kTimeout = std::chrono::seconds(60);

// As an id of that millisecond begins.
RecordId id_at(std::uint64_t unix_ms) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<std::uint8_t>(unix_ms >> (8 * (5 - i)));
  }
  return RecordId(bytes);
}

}  // namespace

Auditor::Auditor(Services services, const core::Config& config)
    : services_(services), config_(config), stop_(services.runtime.make_signal()) {
  // Counters that are there from the start, so that a first failure is an increase.
  for (const char* outcome : {"good", "damaged", "missing"}) {
    services_.metrics.add(services_.metrics.audit_objects, {{"outcome", outcome}}, 0);
  }
}

void Auditor::close() {
  closing_ = true;
  stop_->notify_all();
}

Task<> Auditor::run() {
  if (config_.audit_interval.count() == 0) co_return;
  while (!closing_) {
    co_await stop_->wait(services_.runtime.steady_now() + config_.audit_interval);
    if (closing_) co_return;
    // A store that does not answer is health's to tell.
    if (auto audited = co_await audit_one(); !audited) {
      spdlog::debug("audit: {}", audited.error().detail);
    }
  }
}

Task<Result<std::optional<MetadataRow>>> Auditor::pick() {
  const core::Deadline deadline = services_.runtime.steady_now() + kTimeout;
  auto oldest = co_await services_.metadata.scan(std::nullopt, 1, deadline);
  if (!oldest) co_return pass(std::move(oldest));
  if (oldest->empty()) co_return std::optional<MetadataRow>{};
  core::MetadataQuery one;
  one.limit = 1;
  const auto newest = co_await services_.metadata.list(one, deadline);
  if (!newest) co_return pass(newest);
  if (newest->empty()) co_return std::optional<MetadataRow>{};
  std::uniform_int_distribution<std::uint64_t> time(oldest->front().envelope.id.unix_ms(),
                                                    newest->front().envelope.id.unix_ms());
  auto picked = co_await services_.metadata.scan(id_at(time(random_)), 1, deadline);
  if (!picked) co_return pass(std::move(picked));
  co_return std::optional(std::move(picked->empty() ? oldest->front() : picked->front()));
}

Task<Result<void>> Auditor::audit_one() {
  const auto row = co_await pick();
  if (!row) co_return pass(row);
  if (!*row) co_return Result<void>{};
  const MetadataRow& said = **row;
  std::optional<core::ByteRange> slice;  // all of its own object, whatever size that has
  if (core::segment_of_key(said.object_key)) {
    const auto range = core::slice_of(said);
    if (!range) co_return pass(range);
    slice = *range;
  }
  const auto bytes = co_await services_.objects.get(said.object_key, slice,
                                                    services_.runtime.steady_now() + kTimeout);
  std::string outcome = "good";
  std::string wrong;
  if (bytes) {
    core::Sha256 found;
    co_await services_.workers.run([&] { found = core::sha256(*bytes); });
    if (bytes->size() != said.stored_size || found != said.stored_sha256) {
      outcome = "damaged";
      wrong = "it has " + std::to_string(bytes->size()) + " bytes with SHA-256 " + found.hex() +
              ", its row says " + std::to_string(said.stored_size) + " with " +
              said.stored_sha256.hex();
    }
  } else if (bytes.error().code == Code::not_found || bytes.error().code == Code::damaged ||
             bytes.error().code == Code::invalid_argument) {  // a segment that was cut short
    outcome = bytes.error().code == Code::not_found ? "missing" : "damaged";
    wrong = bytes.error().detail;
  } else {
    co_return pass(bytes);
  }
  services_.metrics.add(services_.metrics.audit_objects, {{"outcome", outcome}});
  if (!wrong.empty()) {
    spdlog::error("audit: the object {} of record {} is {}: {}", said.object_key,
                  said.envelope.id.str(), outcome, wrong);
  }
  co_return Result<void>{};
}

}  // namespace daybook::api
