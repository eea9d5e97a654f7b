// Routes: which request goes where. Unknown routes are 404, known ones with another method 405.
#pragma once

#include "api/batch_door.hpp"
#include "api/feed.hpp"
#include "api/health.hpp"
#include "api/message_door.hpp"
#include "api/metrics.hpp"
#include "api/node.hpp"
#include "api/records.hpp"
#include "api/records_door.hpp"
#include "api/subscribers.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

class Pollers;

class Routes {
 public:
  struct Services {
    RecordsDoor* door;  // null where this process takes no records, as the next ones
    BatchDoor* batch_door;
    MessageDoor* message_door;
    Records& records;
    Subscribers& subscribers;
    Feed& feed;
    Health& health;
    Metrics& metrics;
    std::function<std::string()> status_json;
    std::function<core::Task<>()> refresh;  // figures of /metrics and /v1/status
    Pollers* pollers = nullptr;             // null where this process polls nothing
  };
  explicit Routes(Services services) : services_(std::move(services)) {}

  core::Task<> handle(io::HttpExchange& exchange);
  // A head that was refused before it had a route.
  [[nodiscard]] io::HttpAnswer refuse(int status, const std::string& detail);

 private:
  struct Route;
  core::Task<int> dispatch(io::HttpExchange& exchange, const Route& route, std::string id);
  core::Task<> answer_bad_body(io::HttpExchange& exchange, std::string route, core::Error error);
  core::Task<int> send(io::HttpExchange& exchange, io::HttpAnswer answer);
  [[nodiscard]] io::HttpAnswer pollers_page() const;
  core::Task<int> reset_poller(io::HttpExchange& exchange);
  [[nodiscard]] io::HttpAnswer ready() const;
  [[nodiscard]] io::HttpAnswer metrics_page(const core::http::RequestHead& head) const;

  Services services_;
};

}  // namespace daybook::api
