// A [[subscriber]] of the configuration, checked and taken apart. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/delivery/course.hpp"
#include "core/delivery/filter.hpp"
#include "core/delivery/webhook.hpp"
#include "io/http_client.hpp"

namespace daybook::api {

struct Subscriber {
  std::string name;
  io::FullUrl url;
  core::delivery::Format format = core::delivery::Format::standard_webhooks;
  std::vector<core::delivery::Event> events;  // in their order
  core::delivery::Filter filter;
  bool from_now = false;
  std::uint64_t payload_max = 0;  // larger payloads are told of by reference
  core::delivery::Course::Settings course;
  core::Duration timeout{};

  std::vector<core::delivery::WebhookSecret> secrets;
  core::http::Fields headers;  // with what their files hold: never shown
  std::optional<io::TlsSettings> tls;
  bool allow_private = false;
  std::string origin;  // permission to send is asked for under this name; empty: it is not asked
};

// Deliveries that are in hand at most.
[[nodiscard]] std::size_t subscriber_window(const core::SubscriberConfig& config);

// An error names the field and what to write instead.
[[nodiscard]] core::Result<Subscriber> make_subscriber(const core::SubscriberConfig& config);

}  // namespace daybook::api
