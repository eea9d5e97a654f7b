// Parked records one by one: shown with all that is known, and thrown away for a reason.
#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/problem.hpp"
#include "api/record_json.hpp"
#include "api/records.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr std::size_t kReasonBytesMax = 1000;

Task<int> send(io::HttpExchange& exchange, io::HttpAnswer answer) {
  const int status = answer.status;
  static_cast<void>(co_await exchange.respond(std::move(answer)));
  co_return status;
}

io::HttpAnswer bad(const std::string& detail) {
  return problem(400, "invalid_argument", detail);
}

io::HttpAnswer not_parked(const std::string& state) {
  return problem(409, "not_parked",
                 "Only parked records can be dropped; the state of this one is " + state + ".");
}

}  // namespace

Task<int> Records::show_parked(io::HttpExchange& exchange, std::string id) {
  const auto parsed = core::RecordId::parse(id);
  if (!parsed) {
    co_return co_await send(exchange, bad("'" + id.substr(0, 80) + "' is no record id."));
  }
  const auto parked = co_await services_.buffer.find_parked(*parsed, deadline());
  if (!parked) co_return co_await send(exchange, problem(parked.error()));
  if (!*parked) {
    const auto found = co_await find(id);
    if (!found) co_return co_await send(exchange, problem(found.error()));
    co_return co_await send(
        exchange, problem(404, "not_parked",
                          "This record is not parked; its state is " + state_of(*found) + "."));
  }
  const auto found = co_await find(id);
  if (!found) co_return co_await send(exchange, json_answer(200, unreadable_json(**parked)));
  co_return co_await send(exchange, json_answer(200, record_json(found->row, "parked", &**parked)));
}

// What will be left of a parked record; not_found where it is not parked.
Task<Result<core::DroppedRecord>> Records::account_for(core::RecordId id) {
  auto parked = co_await services_.buffer.find_parked(id, deadline());
  if (!parked) co_return pass(std::move(parked));
  if (!*parked) {
    co_return core::fail(Code::not_found, Origin::client, Retry::never, "It is not parked.");
  }
  core::DroppedRecord record;
  record.id = id;
  record.dropped_at = services_.runtime.now();
  // Bytes that are gone or damaged are a reason to drop, and no reason to refuse it.
  const auto head = co_await services_.buffer.find(id, deadline());
  if (head && *head) {
    record.sha256 = (*head)->head.envelope.sha256;
    record.size = (*head)->head.envelope.size;
  }
  record.parked = std::move(**parked);
  co_return record;
}

Task<int> Records::drop(io::HttpExchange& exchange) {
  const std::string_view query = exchange.head().query;
  const auto ids = core::http::query_parameters(query, "id");
  const auto id = ids.size() == 1 ? core::RecordId::parse(ids.front()) : std::nullopt;
  if (!id) co_return co_await send(exchange, bad("Say which one: ?id={record id}&reason={text}."));
  const auto reason = core::http::query_parameter(query, "reason");
  if (!reason || core::trim(*reason).empty() || reason->size() > kReasonBytesMax) {
    co_return co_await send(
        exchange, bad("Dropping destroys the record's bytes, so it wants a reason of at most " +
                      std::to_string(kReasonBytesMax) + " bytes, which is kept: &reason={text}."));
  }
  auto record = co_await account_for(*id);
  if (!record) {
    if (record.error().code != Code::not_found) {
      co_return co_await send(exchange, problem(record.error()));
    }
    const auto found = co_await find(ids.front());
    co_return co_await send(exchange,
                            found ? not_parked(state_of(*found)) : problem(found.error()));
  }
  record->who = exchange.peer();
  record->reason = std::string(core::trim(*reason));
  const auto done = co_await services_.buffer.drop(*record, deadline());
  if (!done) co_return co_await send(exchange, problem(done.error()));
  if (!*done) co_return co_await send(exchange, not_parked("no longer parked"));
  spdlog::warn("record {} was dropped by {}: {} (parked in {}: {}; stored {} bytes)", id->str(),
               record->who, record->reason, record->parked.stage, record->parked.reason,
               record->parked.entry.stored_size);
  co_return co_await send(exchange, json_answer(200, dropped_json(*record)));
}

}  // namespace daybook::api
