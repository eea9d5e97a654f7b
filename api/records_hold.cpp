// The locks of an archived object: shown, and its legal hold set or released. The hold is the
// store's: it outlives Daybook, and only the store can say whether it is there.
#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/problem.hpp"
#include "api/records.hpp"
#include "core/segment.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::Code;
using core::Result;
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

io::HttpAnswer refusal(const core::Error& error) {
  if (error.code == Code::unsupported) return problem(409, "no_locks", error.detail);
  return problem(error);
}

std::string lock_json(const core::MetadataRow& row, const core::ObjectLock& lock) {
  json::object about = {
      {"id", row.envelope.id.str()},
      {"legal_hold", lock.held},
      {"retention", nullptr},
      {"object", json::object{{"key", row.object_key}, {"version", row.object_version}}},
      {"scope", core::segment_of_key(row.object_key) ? "segment" : "record"}};
  if (!lock.mode.empty() && lock.retain_until) {
    about["retention"] =
        json::object{{"mode", lock.mode}, {"retain_until", core::format_time(*lock.retain_until)}};
  }
  return json::serialize(about) + "\n";
}

}  // namespace

Task<Result<core::MetadataRow>> Records::stored_row(std::string id) {
  auto found = co_await find(std::move(id));
  if (!found) co_return pass(std::move(found));
  if (!found->indexed) {
    co_return core::fail(Code::in_flight, core::Origin::client, core::Retry::safe,
                         "Locks and legal holds are on the stored object; the state of this record "
                         "is " +
                             state_of(*found) + ". Ask again when it is indexed.");
  }
  co_return std::move(found->row);
}

Task<int> Records::show_hold(io::HttpExchange& exchange, std::string id) {
  const auto row = co_await stored_row(std::move(id));
  if (!row) co_return co_await send(exchange, problem(row.error()));
  const auto lock =
      co_await services_.objects.lock_of(row->object_key, row->object_version, deadline());
  if (!lock) co_return co_await send(exchange, refusal(lock.error()));
  co_return co_await send(exchange, json_answer(200, lock_json(*row, *lock)));
}

Task<int> Records::change_hold(io::HttpExchange& exchange, std::string id) {
  const std::string_view query = exchange.head().query;
  const auto status = core::http::query_parameter(query, "status");
  const auto reason = core::http::query_parameter(query, "reason");
  if (!status || (*status != "on" && *status != "off")) {
    co_return co_await send(exchange, bad("Say ?status=on, or ?status=off&reason={text}."));
  }
  const bool on = *status == "on";
  if ((!on && (!reason || core::trim(*reason).empty())) ||
      (reason && reason->size() > kReasonBytesMax)) {
    co_return co_await send(exchange, bad("Releasing a legal hold wants a reason of at most " +
                                          std::to_string(kReasonBytesMax) +
                                          " bytes, which is logged: &reason={text}."));
  }
  const auto row = co_await stored_row(std::move(id));
  if (!row) co_return co_await send(exchange, problem(row.error()));
  const bool shared = core::segment_of_key(row->object_key).has_value();
  if (shared && !on && core::http::query_parameter(query, "scope") != "segment") {
    co_return co_await send(
        exchange,
        problem(409, "shared_object",
                "This record shares the segment " + row->object_key +
                    " with others, and the hold is on all of them. When nobody needs it for any "
                    "of them, release it with &scope=segment (daybook hold release --segment)."));
  }
  const auto done =
      co_await services_.objects.hold(row->object_key, row->object_version, on, deadline());
  if (!done) co_return co_await send(exchange, refusal(done.error()));
  spdlog::warn("legal hold of record {} ({} {}) {} by {}: {}", row->envelope.id.str(),
               shared ? "and all others of the segment" : "object", row->object_key,
               on ? "set" : "released", exchange.peer(),
               reason ? std::string(core::trim(*reason)) : "no reason given");
  const auto lock =
      co_await services_.objects.lock_of(row->object_key, row->object_version, deadline());
  if (!lock) co_return co_await send(exchange, refusal(lock.error()));
  co_return co_await send(exchange, json_answer(200, lock_json(*row, *lock)));
}

}  // namespace daybook::api
