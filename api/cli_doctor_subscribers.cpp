// Whether each subscriber can be reached as it is configured. Nothing is sent to it: daybook
// subscribers test does that.
#include "api/cli_doctor.hpp"
#include "api/subscriber_settings.hpp"
#include "core/public_address.hpp"
#include "io/resolve.hpp"
#include "io/runtime.hpp"
#include "io/stream.hpp"

namespace daybook::api {
namespace {

constexpr auto kTimeout = std::chrono::seconds(5);

struct Reach {
  core::Result<std::vector<std::string>> addresses;
  core::Result<void> connected;
};

core::Task<Reach> reach(Subscriber subscriber, io::IoRuntime& runtime) {
  const io::Url& server = subscriber.url.server;
  const core::Deadline deadline = runtime.steady_now() + kTimeout;
  Reach found;
  found.addresses = co_await io::resolve(runtime, server.host, core::Origin::sink, deadline);
  if (!found.addresses) co_return found;
  io::AddressRule allowed;
  if (!subscriber.allow_private) allowed = core::is_public_address;
  const auto stream = co_await io::connect(
      runtime, io::Endpoint{.host = server.host, .port = server.port, .unix_path = {}},
      subscriber.tls, core::Origin::sink, deadline, std::move(allowed));
  if (!stream) found.connected = pass(stream);
  co_return found;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string mend_of(const core::Error& error, const Subscriber& subscriber) {
  switch (error.code) {
    case core::Code::denied:
      return "If it is meant to be there, set allow_private = true for it; else mend its url";
    case core::Code::misconfigured:
      return "Set ca_file to its certificate's authority, or have its certificate renewed";
    default:
      return "Notices wait until it is back. Try: curl -v " + subscriber.url.without_query();
  }
}

}  // namespace

void Doctor::examine_subscribers() {
  for (const core::SubscriberConfig& config : config_.subscribers) {
    const std::string subject = "subscriber " + config.name;
    const auto made = make_subscriber(config);
    if (!made) {  // the configuration would not have been taken
      note(Verdict::fail, subject, made.error().detail, "Mend it in " + config.where);
      continue;
    }
    if (!config.enabled) {
      note(Verdict::ok, subject, "is not enabled");
      continue;
    }
    const Reach found = io::run_to_completion<Reach>(
        [&made](io::IoRuntime& runtime) { return reach(*made, runtime); });
    if (!found.addresses) {
      note(Verdict::warn, subject, found.addresses.error().detail,
           "Mend the name in its url, or the name servers of this machine");
      continue;
    }
    const std::string where = made->url.without_query() + " is " + joined(*found.addresses);
    if (!found.connected) {
      const core::Error& error = found.connected.error();
      note(error.code == core::Code::unavailable ? Verdict::warn : Verdict::fail, subject,
           where + "; " + error.detail, mend_of(error, *made));
      continue;
    }
    const bool open = !made->tls && !made->allow_private;
    note(open ? Verdict::warn : Verdict::ok, subject,
         where + (made->tls ? ", certificate accepted, " : ", without TLS, ") +
             std::to_string(made->secrets.size()) + " signing secrets",
         "Everybody on the way can read its notices: use https");
  }
}

}  // namespace daybook::api
