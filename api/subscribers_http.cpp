// Subscribers as the HTTP API shows them, and what can be done with them by command.
#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/problem.hpp"
#include "api/subscribers.hpp"
#include "core/http/message.hpp"
#include "core/text.hpp"

namespace daybook::api {

namespace json = boost::json;
using core::Task;
using core::delivery::Verdict;
using core::http::query_parameter;

namespace {

constexpr std::size_t kParkedShown = 1000;
constexpr std::size_t kReasonBytesMax = 1000;

Task<int> send(io::HttpExchange& exchange, io::HttpAnswer answer) {
  const int status = answer.status;
  static_cast<void>(co_await exchange.respond(std::move(answer)));
  co_return status;
}

io::HttpAnswer unknown(const std::string& name) {
  return problem(404, "not_found",
                 "There is no subscriber '" + name.substr(0, 80) +
                     "'. GET /v1/subscribers names those of the configuration.");
}

io::HttpAnswer bad(const std::string& detail) {
  return problem(400, "invalid_argument", detail);
}

io::HttpAnswer ok(json::object object) {
  return json_answer(200, json::serialize(std::move(object)) + "\n");
}

json::array parked_array(const std::vector<core::ParkedDelivery>& parked) {
  json::array list;
  for (const core::ParkedDelivery& one : parked) {
    json::array due;
    for (const std::string& event : one.due) due.push_back(json::value(event));
    list.push_back(json::object{{"id", one.id.str()},
                                {"number", one.number},
                                {"due", std::move(due)},
                                {"reason", one.reason},
                                {"attempts", one.attempts},
                                {"parked_at", core::format_time(one.parked_at)},
                                {"redriving", one.redriving}});
  }
  return list;
}

std::string_view to_string(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::delivered:
      return "delivered";
    case Verdict::Kind::away:
      return "away";
    case Verdict::Kind::failed:
      return "failed";
    case Verdict::Kind::gone:
      return "gone";
  }
  return "failed";
}

}  // namespace

Task<int> Subscribers::list(io::HttpExchange& exchange) {
  for (const auto& entry : entries_) co_await look_at(*entry);
  co_return co_await send(exchange, ok({{"subscribers", status()}}));
}

Task<int> Subscribers::show(io::HttpExchange& exchange, std::string name) {
  Entry* entry = find(name);
  if (entry == nullptr) co_return co_await send(exchange, unknown(name));
  co_await look_at(*entry);
  const auto parked = co_await services_.cursors.parked(name, kParkedShown, deadline());
  if (!parked) co_return co_await send(exchange, problem(parked.error()));
  json::object object = entry_json(*entry);
  object["parked_deliveries"] = parked_array(*parked);
  co_return co_await send(exchange, ok(std::move(object)));
}

Task<int> Subscribers::act(io::HttpExchange& exchange, std::string name, std::string action) {
  Entry* entry = find(name);
  if (entry == nullptr) co_return co_await send(exchange, unknown(name));
  io::HttpAnswer answer =
      action == "test" ? co_await test(*entry)
                       : co_await change(*entry, action, exchange.head().query, exchange.peer());
  if (entry->deliverer && answer.status == 200) entry->deliverer->look();
  co_return co_await send(exchange, std::move(answer));
}

Task<io::HttpAnswer> Subscribers::change(Entry& entry, std::string action, std::string query,
                                         std::string who) {
  const std::string& name = entry.settings.name;
  const std::string reason(core::trim(query_parameter(query, "reason").value_or("")));
  if (reason.size() > kReasonBytesMax) {
    co_return bad("The reason is longer than " + std::to_string(kReasonBytesMax) + " bytes.");
  }
  const auto id_text = query_parameter(query, "id");
  const auto id = id_text ? core::RecordId::parse(*id_text) : std::nullopt;
  if (id_text && !id) co_return bad("'" + id_text->substr(0, 80) + "' is no record id.");
  if (action == "pause") {
    core::SubscriberPause pause{.reason = reason.empty() ? "by command of " + who : reason,
                                .at = services_.runtime.now()};
    const auto done = co_await services_.cursors.pause(name, pause, deadline());
    if (!done) co_return problem(done.error());
    spdlog::warn("subscriber {} was paused by {}: {}", name, who, pause.reason);
    co_return ok({{"name", name}, {"paused", true}});
  }
  if (action == "resume") {
    const auto done = co_await services_.cursors.resume(name, deadline());
    if (!done) co_return problem(done.error());
    spdlog::info("subscriber {} was resumed by {}", name, who);
    co_return ok({{"name", name}, {"paused", false}});
  }
  if (action == "redrive") {
    if (!id && query_parameter(query, "all") != "true") {
      co_return bad("Say which: ?id={record id} or ?all=true.");
    }
    const auto marked = co_await services_.cursors.redrive(name, id, deadline());
    if (!marked) co_return problem(marked.error());
    spdlog::info("subscriber {}: {} parked deliveries are tried again on request", name, *marked);
    co_return ok({{"name", name}, {"redriven", *marked}});
  }
  if (!id || reason.empty()) {
    co_return bad(
        "Dropping gives up a delivery for good: say which and why, ?id={record id}&reason={text}.");
  }
  const auto dropped = co_await services_.cursors.drop(name, *id, deadline());
  if (!dropped) co_return problem(dropped.error());
  if (*dropped == 0) {
    co_return problem(404, "not_parked", "This subscriber has no parked delivery of that record.");
  }
  spdlog::warn("subscriber {}: the parked delivery of record {} was dropped by {}: {}", name,
               id->str(), who, reason);
  co_return ok({{"name", name}, {"dropped", *dropped}});
}

Task<io::HttpAnswer> Subscribers::test(Entry& entry) {
  const core::SteadyTime began = services_.runtime.steady_now();
  const Verdict verdict = co_await entry.sender->test(began + entry.settings.timeout);
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(services_.runtime.steady_now() - began);
  co_return ok({{"name", entry.settings.name},
                {"outcome", to_string(verdict.kind)},
                {"reason", verdict.reason},
                {"detail", verdict.detail},
                {"took_ms", took.count()}});
}

}  // namespace daybook::api
