#include "api/routes.hpp"

#include <array>

#include <boost/json.hpp>

#include "api/pollers.hpp"
#include "api/problem.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::Task;

// A body of a request that is answered without it is read up to here all the same: its framing is
// judged, and the connection stays usable. Larger ones are refused at once.
constexpr std::uint64_t kDroppedBodyBytesMax = 64 * core::KiB;

// The error is the body's.
Task<core::Result<void>> drop_small_body(io::HttpExchange& exchange) {
  const core::http::RequestHead& head = exchange.head();
  if (head.framing == core::http::Framing::none || head.expects_continue ||
      head.content_length > kDroppedBodyBytesMax) {
    co_return core::Result<void>{};
  }
  std::vector<std::byte> dropped(8 * core::KiB);
  for (std::uint64_t total = 0; total <= kDroppedBodyBytesMax;) {
    const auto bytes = co_await exchange.read_body(dropped);
    if (!bytes) co_return pass(bytes);
    if (*bytes == 0) break;
    total += *bytes;
  }
  co_return core::Result<void>{};
}

enum class Page {
  records,
  batch,
  messages,
  feed,
  record,
  payload,
  hold,
  parked,
  parked_record,
  replay,
  drop,
  pollers,
  reset_poller,
  livez,
  readyz,
  status,
  metrics,
  subscribers,
  subscriber,
  subscriber_action
};

}  // namespace

// A pattern may hold one {id}. HEAD is taken wherever GET is.
struct Routes::Route {
  std::string_view pattern;
  Page page;
  std::string_view allow;
};

Task<> Routes::handle(io::HttpExchange& exchange) {
  static constexpr std::array kRoutes = {
      Route{"/v1/records", Page::records, "GET, HEAD, POST"},
      Route{"/v1/records:batch", Page::batch, "POST"},
      Route{"/messages", Page::messages, "GET, HEAD, POST"},
      Route{"/v1/feed", Page::feed, "GET, HEAD"},
      Route{"/v1/records/{id}", Page::record, "GET, HEAD"},
      Route{"/v1/records/{id}/payload", Page::payload, "GET, HEAD"},
      Route{"/v1/records/{id}/hold", Page::hold, "GET, HEAD, POST"},
      Route{"/v1/parked", Page::parked, "GET, HEAD"},
      Route{"/v1/parked/replay", Page::replay, "POST"},
      Route{"/v1/parked/drop", Page::drop, "POST"},
      Route{"/v1/parked/{id}", Page::parked_record, "GET, HEAD"},
      Route{"/v1/subscribers", Page::subscribers, "GET, HEAD"},
      Route{"/v1/subscribers/{id}", Page::subscriber, "GET, HEAD"},
      Route{"/v1/subscribers/{id}/pause", Page::subscriber_action, "POST"},
      Route{"/v1/subscribers/{id}/resume", Page::subscriber_action, "POST"},
      Route{"/v1/subscribers/{id}/redrive", Page::subscriber_action, "POST"},
      Route{"/v1/subscribers/{id}/drop", Page::subscriber_action, "POST"},
      Route{"/v1/subscribers/{id}/test", Page::subscriber_action, "POST"},
      Route{"/v1/pollers", Page::pollers, "GET, HEAD"},
      Route{"/v1/pollers/reset", Page::reset_poller, "POST"},
      Route{"/v1/status", Page::status, "GET, HEAD"},
      Route{"/livez", Page::livez, "GET, HEAD"},
      Route{"/readyz", Page::readyz, "GET, HEAD"},
      Route{"/metrics", Page::metrics, "GET, HEAD"},
  };
  const core::http::RequestHead& head = exchange.head();
  // It answers every method, and OPTIONS unlike any other path.
  if (head.path == "/ingestMessage" && services_.message_door != nullptr) {
    co_return co_await services_.message_door->handle(exchange);
  }
  for (const Route& route : kRoutes) {
    std::string id;
    const auto brace = route.pattern.find("{id}");
    if (brace == std::string_view::npos) {
      if (head.path != route.pattern) continue;
    } else {
      const std::string_view before = route.pattern.substr(0, brace);
      const std::string_view after = route.pattern.substr(brace + 4);
      if (!head.path.starts_with(before) || !head.path.ends_with(after) ||
          head.path.size() <= before.size() + after.size()) {
        continue;
      }
      id = head.path.substr(before.size(), head.path.size() - before.size() - after.size());
      if (id.find('/') != std::string::npos) continue;
    }
    // A door counts its own requests, with its own label.
    if (route.page == Page::records && head.method == "POST" && services_.door != nullptr) {
      co_return co_await services_.door->handle(exchange);
    }
    if ((route.page == Page::batch || route.page == Page::messages) && head.method == "POST" &&
        services_.batch_door != nullptr) {
      co_return co_await services_.batch_door->handle(
          exchange, std::string(route.pattern), route.page == Page::batch ? "batch" : "messages");
    }
    if (auto dropped = co_await drop_small_body(exchange); !dropped) {
      co_return co_await answer_bad_body(exchange, std::string(route.pattern), dropped.error());
    }
    const int status = co_await dispatch(exchange, route, std::move(id));
    services_.metrics.add(services_.metrics.http_requests, {{"route", std::string(route.pattern)},
                                                            {"status", std::to_string(status)}});
    co_return;
  }
  if (auto dropped = co_await drop_small_body(exchange); !dropped) {
    co_return co_await answer_bad_body(exchange, "unknown", dropped.error());
  }
  services_.metrics.add(services_.metrics.http_requests, {{"route", "unknown"}, {"status", "404"}});
  static_cast<void>(co_await exchange.respond(
      problem(404, "not_found",
              "There is nothing at this path. Records are posted to and listed at /v1/records.")));
}

Task<int> Routes::dispatch(io::HttpExchange& exchange, const Route& route, std::string id) {
  const core::http::RequestHead& head = exchange.head();
  const bool read = head.method == "GET" || head.method == "HEAD";
  const bool write = head.method == "POST";
  const bool acts = route.page == Page::replay || route.page == Page::drop ||
                    route.page == Page::subscriber_action || route.page == Page::reset_poller ||
                    (route.page == Page::hold && write);
  const bool door = route.page == Page::batch || (route.page == Page::messages && !read);
  if (door || (!(read && !acts) && !(write && acts))) {
    const bool takes_none = (door || route.page == Page::records) && write;
    io::HttpAnswer answer =
        problem(405, "method_not_allowed",
                takes_none ? "This process runs with --role pipeline and takes no records."
                           : "This path takes " + std::string(route.allow) + ".");
    answer.fields.add("Allow", takes_none ? (route.page == Page::batch ? "" : "GET, HEAD")
                                          : std::string(route.allow));
    co_return co_await send(exchange, std::move(answer));
  }
  switch (route.page) {
    case Page::records:
      co_return co_await services_.records.list(exchange);
    case Page::feed:
      co_return co_await services_.feed.page(exchange);
    case Page::messages:
      co_return co_await services_.feed.messages(exchange);
    case Page::record:
      co_return co_await services_.records.show(exchange, std::move(id));
    case Page::payload:
      co_return co_await services_.records.payload(exchange, std::move(id));
    case Page::hold:
      if (write) co_return co_await services_.records.change_hold(exchange, std::move(id));
      co_return co_await services_.records.show_hold(exchange, std::move(id));
    case Page::parked:
      co_return co_await services_.records.parked(exchange);
    case Page::replay:
      co_return co_await services_.records.replay(exchange);
    case Page::parked_record:
      co_return co_await services_.records.show_parked(exchange, std::move(id));
    case Page::drop:
      co_return co_await services_.records.drop(exchange);
    case Page::subscribers:
      co_return co_await services_.subscribers.list(exchange);
    case Page::subscriber:
      co_return co_await services_.subscribers.show(exchange, std::move(id));
    case Page::subscriber_action:
      co_return co_await services_.subscribers.act(
          exchange, std::move(id), std::string(route.pattern.substr(route.pattern.rfind('/') + 1)));
    case Page::pollers:
      co_return co_await send(exchange, pollers_page());
    case Page::reset_poller:
      co_return co_await reset_poller(exchange);
    case Page::readyz:
      co_return co_await send(exchange, ready());
    case Page::status:
      co_await services_.refresh();
      co_return co_await send(exchange, json_answer(200, services_.status_json()));
    case Page::metrics:
      co_await services_.refresh();
      co_return co_await send(exchange, metrics_page(head));
    case Page::batch:
    case Page::livez:
      break;
  }
  io::HttpAnswer alive;
  alive.fields.add("Content-Type", "text/plain; charset=utf-8");
  alive.body = "ok\n";
  co_return co_await send(exchange, std::move(alive));
}

Task<> Routes::answer_bad_body(io::HttpExchange& exchange, std::string route, core::Error error) {
  io::HttpAnswer answer = problem(error);
  services_.metrics.add(services_.metrics.http_requests,
                        {{"route", route}, {"status", std::to_string(answer.status)}});
  static_cast<void>(co_await exchange.respond(std::move(answer)));
}

Task<int> Routes::send(io::HttpExchange& exchange, io::HttpAnswer answer) {
  const int status = answer.status;
  static_cast<void>(co_await exchange.respond(std::move(answer)));
  co_return status;
}

io::HttpAnswer Routes::refuse(int status, const std::string& detail) {
  services_.metrics.add(services_.metrics.http_requests,
                        {{"route", "unknown"}, {"status", std::to_string(status)}});
  const char* code = status == 408 ? "timeout" : status == 429 ? "overloaded" : "bad_request";
  services_.metrics.add(services_.metrics.refused, {{"reason", status == 408   ? "too_slow"
                                                               : status == 429 ? "connections"
                                                                               : "framing"}});
  return problem(status, code, detail);
}

io::HttpAnswer Routes::ready() const {
  json::array checks;
  for (const Check& check : services_.health.checks()) {
    checks.push_back(json::object{{"name", check.name},
                                  {"ok", check.ok},
                                  {"required", check.required},
                                  {"detail", check.detail}});
  }
  const bool ready = services_.health.ready();
  return json_answer(
      ready ? 200 : 503,
      json::serialize(json::object{{"ready", ready}, {"checks", std::move(checks)}}) + "\n");
}

io::HttpAnswer Routes::pollers_page() const {
  json::array pollers;
  if (services_.pollers != nullptr) pollers = services_.pollers->status();
  return json_answer(200, json::serialize(json::object{{"pollers", std::move(pollers)}}) + "\n");
}

Task<int> Routes::reset_poller(io::HttpExchange& exchange) {
  const std::string query = exchange.head().query;
  const auto name = core::http::query_parameter(query, "name").value_or("");
  const auto cursor = core::http::query_parameter(query, "cursor").value_or("");
  core::Result<void> done = core::fail(core::Code::not_found, core::Origin::client,
                                       core::Retry::never, "This process polls nothing.");
  if (services_.pollers != nullptr) done = co_await services_.pollers->reset(name, cursor);
  if (!done) co_return co_await send(exchange, problem(done.error()));
  co_return co_await send(exchange, pollers_page());
}

io::HttpAnswer Routes::metrics_page(const core::http::RequestHead& head) const {
  const std::string_view accept = head.fields.find("Accept").value_or("");
  const bool open = accept.find("application/openmetrics-text") != std::string_view::npos;
  io::HttpAnswer page;
  page.fields.add("Content-Type", open
                                      ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                      : "text/plain; version=0.0.4; charset=utf-8");
  page.body = open ? services_.metrics.open_metrics() : services_.metrics.text();
  return page;
}

}  // namespace daybook::api
