#include "api/subscriber_settings.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::delivery::Event;

core::Failure refuse(std::string detail) {
  return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                    std::move(detail));
}

// Each at most once, and put into their order.
Result<std::vector<Event>> read_events(const std::vector<std::string>& words) {
  std::vector<Event> events;
  for (const std::string& word : words) {
    const auto event = core::delivery::parse_event(word);
    if (!event) {
      std::vector<std::string_view> known;
      for (const Event one : core::delivery::kEvents) known.push_back(to_string(one));
      const std::string near = core::nearest_word(word, known);
      return refuse("events: '" + word + "' is none of started, archived, indexed, final, parked." +
                    (near.empty() ? "" : " Did you mean " + near + "?"));
    }
    events.push_back(*event);
  }
  if (events.empty()) return refuse("events: name at least one, such as [\"final\"].");
  std::ranges::sort(events);
  if (std::ranges::adjacent_find(events) != events.end()) {
    return refuse("events: one of them is named twice.");
  }
  if (events.back() == Event::parked && events.size() > 1) {
    return refuse(
        "events: parked records are not told of together with finished ones; give \"parked\" a "
        "subscriber of its own.");
  }
  return events;
}

constexpr std::array<std::string_view, 13> kOurFields = {"Host",
                                                         "Content-Length",
                                                         "Content-Type",
                                                         "Transfer-Encoding",
                                                         "Connection",
                                                         "Expect",
                                                         "User-Agent",
                                                         "webhook-id",
                                                         "Upgrade",
                                                         "webhook-timestamp",
                                                         "webhook-signature",
                                                         "WebHook-Request-Origin",
                                                         "TE"};

Result<void> add_header(core::http::Fields& headers, const std::string& name,
                        const std::string& value) {
  const bool ours = std::ranges::any_of(kOurFields,
                                        [&name](std::string_view one) {
                                          return core::equals_ignoring_case(one, name);
                                        }) ||
                    core::to_lower(name).starts_with("ce-");
  if (ours) return refuse("headers: " + name + " is written by Daybook; leave it out.");
  const bool token = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
  if (!token) return refuse("headers: '" + name + "' is no name of a header.");
  if (headers.count(name) > 0) return refuse("headers: " + name + " is given twice.");
  const bool clean = std::ranges::all_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte != 0x7F);
  });
  if (!clean) return refuse("headers: " + name + " holds a line break or control character.");
  headers.add(name, value);
  return {};
}

Result<void> read_headers(const core::SubscriberConfig& config, core::http::Fields& headers) {
  for (const auto& [name, value] : config.headers) {
    if (auto added = add_header(headers, name, value); !added) return added;
  }
  for (const auto& [name, file] : config.header_files) {
    if (auto added = add_header(headers, name, file.text); !added) return added;
  }
  return {};
}

// A name that WebHook-Request-Origin may carry.
bool is_dns_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-';
  });
}

Result<void> read_secrets(const core::SubscriberConfig& config, Subscriber& subscriber) {
  for (const auto& [name, file] : config.secret_files) {
    auto secret = core::delivery::WebhookSecret::parse(file.text);
    if (!secret) return refuse("secret_files." + name + ": " + secret.error().detail);
    subscriber.secrets.push_back(std::move(*secret));
  }
  if (subscriber.secrets.empty() &&
      subscriber.format == core::delivery::Format::standard_webhooks) {
    return refuse(
        "secret_files: standard-webhooks are signed, so a secret is needed. Make one with: "
        "(umask 077; echo whsec_$(openssl rand -base64 32) > FILE) and set secret_files = { "
        "current = \"FILE\" }.");
  }
  return {};
}

Result<void> read_target(const core::SubscriberConfig& config, Subscriber& subscriber) {
  auto url = io::parse_full_url(config.url);
  if (!url) return refuse("url: " + url.error().detail);
  subscriber.url = std::move(*url);
  const bool tls_files = !config.ca_file.empty() || !config.cert_file.empty();
  if (!subscriber.url.server.https && tls_files) {
    return refuse("url: ca_file and cert_file are for https, and this is http.");
  }
  if (config.cert_file.empty() != config.key_file.empty()) {
    return refuse("cert_file: it and key_file belong together; one of them is missing.");
  }
  if (subscriber.url.server.https) {
    subscriber.tls = io::TlsSettings{.server_name = subscriber.url.server.host,
                                     .ca_file = config.ca_file,
                                     .verify_peer = true,
                                     .cert_file = config.cert_file,
                                     .key_file = config.key_file};
  }
  if (!config.origin.empty() && !is_dns_name(config.origin)) {
    return refuse("origin: '" + config.origin + "' is no DNS name such as daybook.example.com.");
  }
  subscriber.origin = config.origin;
  subscriber.allow_private = config.allow_private;
  subscriber.timeout = config.timeout;
  return read_headers(config, subscriber.headers);
}

Result<void> read_course(const core::SubscriberConfig& config, Subscriber& subscriber) {
  auto events = read_events(config.events);
  if (!events) return pass(std::move(events));
  subscriber.events = std::move(*events);
  auto filter = core::delivery::Filter::parse(config.filter);
  if (!filter) return pass(std::move(filter));
  subscriber.filter = std::move(*filter);
  if (config.from != "first" && config.from != "now") {
    return refuse("from: '" + config.from + "' is neither first nor now.");
  }
  subscriber.from_now = config.from == "now";
  subscriber.payload_max = config.payload_max;
  subscriber.course.parallel = config.parallel;
  subscriber.course.in_hand_max = subscriber_window(config);
  subscriber.course.retry = {.attempts_max = static_cast<std::uint32_t>(config.attempts_max),
                             .first = config.retry_first,
                             .longest = std::max(config.retry_first, config.retry_max)};
  subscriber.course.pause_after = static_cast<std::uint32_t>(config.pause_after);
  return {};
}

}  // namespace

// Wide enough for records of other partitions to go on past those of one that waits.
std::size_t subscriber_window(const core::SubscriberConfig& config) {
  return std::max<std::size_t>(64, 4 * config.parallel);
}

Result<Subscriber> make_subscriber(const core::SubscriberConfig& config) {
  Subscriber subscriber;
  subscriber.name = config.name;
  const auto format = core::delivery::parse_format(config.format);
  if (!format) {
    return refuse("format: '" + config.format + "' is none of " +
                  std::string(core::delivery::kFormats) + ".");
  }
  subscriber.format = *format;
  for (const auto& read : {read_target, read_course, read_secrets}) {
    if (auto good = read(config, subscriber); !good) return pass(std::move(good));
  }
  return subscriber;
}

}  // namespace daybook::api
