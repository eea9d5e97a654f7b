// Rules for [[poller]], [[subscriber]] and [[transform]] that no single row can say. Each sentence
// begins with the place in the file.
#include <algorithm>
#include <iterator>

#include "api/config_loader.hpp"
#include "api/config_tables.hpp"
#include "api/poller_settings.hpp"
#include "api/subscriber_settings.hpp"
#include "api/transform_settings.hpp"
#include "core/text.hpp"
#include "io/http_client.hpp"

namespace daybook::api {
namespace {

template <class Entry>
void check_names(std::string_view kind, const std::vector<Entry>& entries,
                 std::vector<std::string>& broken) {
  std::map<std::string, std::string> places;
  for (const Entry& entry : entries) {
    const std::string& place = entry.place_of("name");
    const std::string what = place + ": " + std::string(kind) + ".name: " + toml_quote(entry.name);
    if (!is_table_name(entry.name)) {
      broken.push_back(what + " has 1 to 64 letters, digits, '_' and '-'.");
    } else if (const auto [other, is_new] = places.emplace(entry.name, place); !is_new) {
      broken.push_back(what + " is the name of the one at " + other->second + " too.");
    }
  }
}

template <class Entry>
void check_urls(std::string_view kind, const std::vector<Entry>& entries,
                std::vector<std::string>& broken) {
  for (const Entry& entry : entries) {
    if (const auto url = io::parse_full_url(entry.url); !url) {
      broken.push_back(entry.place_of("url") + ": " + std::string(kind) +
                       ".url: " + url.error().detail + ".");
    }
  }
}

// What a loopback name means to who connects to it or listens on it.
std::vector<std::string> addresses_of(std::string_view host) {
  const std::string name = core::to_lower(host);
  if (name == "localhost") return {"127.0.0.1", "::1"};
  if (name == "0.0.0.0") return {"127.0.0.1"};
  if (name == "::") return {"::1"};
  return {name};
}

// Records that tell of records, without end. Another name of this machine, or a proxy before it,
// is not known here.
template <class Entry>
void check_loops(std::string_view kind, const std::vector<Entry>& entries,
                 const std::string& listen, std::vector<std::string>& broken) {
  const auto own = parse_host_port(listen);
  if (!own || own->port == 0) return;
  const auto addresses = addresses_of(own->host);
  for (const Entry& entry : entries) {
    const auto url = io::parse_full_url(entry.url);
    if (!url || url->server.port != own->port) continue;
    if (std::ranges::find_first_of(addresses, addresses_of(url->server.host)) == addresses.end()) {
      continue;
    }
    broken.push_back(
        entry.place_of("url") + ": " + std::string(kind) +
        ".url: it is this server's own address (server.listen = " + toml_quote(listen) +
        "), so every record would make another one, without end.");
  }
}

// The error begins with the field.
void check_subscribers(const std::vector<core::SubscriberConfig>& entries,
                       std::vector<std::string>& broken) {
  for (const core::SubscriberConfig& entry : entries) {
    if (!io::parse_full_url(entry.url)) continue;  // said already
    const auto made = make_subscriber(entry);
    if (made) continue;
    const std::string& detail = made.error().detail;
    broken.push_back(entry.place_of(detail.substr(0, detail.find_first_of(":."))) +
                     ": subscriber " + toml_quote(entry.name) + ": " + detail);
  }
}

}  // namespace

std::vector<std::string> broken_table_rules(const core::Config& config) {
  std::vector<std::string> broken;
  check_names("poller", config.pollers, broken);
  check_names("subscriber", config.subscribers, broken);
  check_names("transform", config.transforms, broken);
  for (const core::PollerConfig& poller : config.pollers) {
    if (const auto rules = poll_rules(poller, config.ingest_tenant); !rules) {
      broken.push_back(rules.error().detail);
    }
  }
  check_urls("subscriber", config.subscribers, broken);
  check_subscribers(config.subscribers, broken);
  check_loops("poller", config.pollers, config.server_listen, broken);
  check_loops("subscriber", config.subscribers, config.server_listen, broken);
  std::ranges::move(broken_transform_rules(config), std::back_inserter(broken));
  return broken;
}

}  // namespace daybook::api
