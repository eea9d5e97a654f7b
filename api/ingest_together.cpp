// Records that are stored together: sealed one after the other, then handed to the buffer in one
// step. Only the buffer can do that, so there is no other rung of the ladder for them.
#include <boost/json.hpp>

#include "api/ingest.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

// The receipts in the answer to a repetition.
Result<std::vector<Deposited>> receipts_in(const std::string& text) {
  boost::system::error_code error;
  const auto value = boost::json::parse(text, error);
  std::vector<Deposited> all;
  if (!error && value.is_array()) {
    for (const auto& receipt : value.get_array()) {
      const auto* object = receipt.if_object();
      const auto* id = object != nullptr ? object->if_contains("id") : nullptr;
      if (id == nullptr || !id->is_string()) break;
      const auto parsed = core::RecordId::parse(std::string_view(id->get_string()));
      if (!parsed) break;
      all.push_back({false, *parsed, boost::json::serialize(receipt)});
    }
    if (!all.empty() && all.size() == value.get_array().size()) return all;
  }
  return core::fail(Code::conflict, Origin::client, Retry::never,
                    "This idempotency key was used for another request, which was no atomic batch. "
                    "Use a new key for a new batch.");
}

}  // namespace

Task<Result<std::vector<Deposited>>> Ingest::deposit_together(Together together) {
  Upload upload;
  upload.key = std::move(together.key);
  upload.peer = std::move(together.peer);
  upload.began = services_.runtime.steady_now();
  auto done = co_await accept_together(together, upload);
  if (!done) co_await refuse(upload, done.error());
  co_return done;
}

Task<Result<std::vector<Deposited>>> Ingest::accept_together(const Together& together,
                                                             Upload& upload) {
  std::uint64_t bytes = 0;
  for (const Deposit& deposit : together.deposits) {
    if (auto sound = check_attributes(deposit.envelope); !sound) co_return pass(std::move(sound));
    bytes += deposit.payload.size();
  }
  if (auto open = services_.admission(); !open) co_return pass(open);
  if (auto sound = co_await services_.ladder.open(); !sound) co_return pass(sound);
  if (auto admitted = co_await admission_.admit(bytes, 0, upload.peer,
                                                services_.runtime.steady_now(), upload.ticket);
      !admitted) {
    co_return pass(admitted);
  }
  if (auto identified = co_await identify(upload); !identified) co_return pass(identified);
  if (upload.first) {
    if (upload.first->sha256 != together.digest) {
      co_return core::fail(Code::conflict, Origin::client, Retry::never,
                           "This idempotency key was used for another batch. Use a new key for a "
                           "new batch.");
    }
    co_return receipts_in(upload.first->receipt);
  }
  const auto objects = co_await seal_together(together, upload);
  if (!objects) co_return pass(objects);
  upload.append_began = services_.runtime.steady_now();
  auto receipts = co_await services_.ladder.store_all(*objects, upload.key, together.digest);
  if (!receipts) co_return pass(std::move(receipts));
  upload.acknowledged = services_.runtime.steady_now();
  upload.reserved = false;
  upload.held_key = nullptr;
  upload.ticket.appended();
  admission_.accepted();
  services_.metrics.add(services_.metrics.ingest_bytes, {}, static_cast<double>(bytes));
  std::vector<Deposited> all;
  for (std::size_t i = 0; i < objects->size(); ++i) {
    all.push_back({true, (*objects)[i]->envelope().id, std::move((*receipts)[i])});
  }
  co_return all;
}

Task<Result<Ingest::Objects>> Ingest::seal_together(const Together& together, Upload& upload) {
  Objects objects;
  std::uint64_t stored = 0;
  for (const Deposit& deposit : together.deposits) {
    core::PayloadSealer sealer(services_.runtime, services_.workers, blocks_, lines_,
                               static_cast<int>(config_.ingest_compression_level));
    MemorySource source(deposit.payload);
    if (auto received = co_await receive(upload, source, sealer); !received) {
      co_return pass(std::move(received));
    }
    auto sealed = co_await sealer.finish();
    if (deposit.expected && *deposit.expected != sealed.sha256) {
      co_return core::fail(Code::digest_mismatch, Origin::client, Retry::safe,
                           "Content-Digest of part " + std::to_string(objects.size()) +
                               " promised SHA-256 " + deposit.expected->hex() +
                               " but its bytes have " + sealed.sha256.hex() +
                               "; nothing was stored. Send the batch again.");
    }
    core::Envelope envelope = deposit.envelope;
    envelope.partition = upload.envelope.partition;
    envelope.id = objects.empty() ? upload.envelope.id
                                  : ids_.next(services_.runtime.now(), envelope.partition);
    complete(envelope, sealed);
    co_await services_.workers.run([&] {
      objects.push_back(std::make_shared<const core::SealedObject>(std::move(envelope),
                                                                   std::move(sealed.frames)));
    });
    stored += objects.back()->stored_size();
  }
  upload.ticket.sealed(stored);
  co_return objects;
}

}  // namespace daybook::api
