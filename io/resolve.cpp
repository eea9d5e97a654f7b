#include "io/resolve.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include <netdb.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/runtime.hpp"

namespace daybook::io {
namespace {

namespace asio = boost::asio;

// Lookups at a time, in all. One whose name servers are silent takes half a minute.
constexpr int kLookupsMax = 32;
std::atomic<int> lookups = 0;

// Belongs to the asker: a lookup in progress cannot be called back, and may outlast him.
struct Lookup {
  Lookup(asio::io_context& context, std::string name, core::Deadline deadline)
      : host(std::move(name)), ended(context, deadline) {}
  const std::string host;
  asio::steady_timer ended;
  bool answered = false;
  std::string error;
  std::vector<std::string> addresses;
};

struct Found {
  std::string error;
  std::vector<std::string> addresses;
};

Found look_up(const std::string& host) {
  Found found;
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  int error = ::getaddrinfo(host.c_str(), nullptr, &wanted, &list);
  // A machine with nothing but loopback has no address of either family configured.
  if (error == EAI_NONAME || error == EAI_ADDRFAMILY) {
    wanted.ai_flags = 0;
    error = ::getaddrinfo(host.c_str(), nullptr, &wanted, &list);
  }
  if (error != 0) {
    found.error = ::gai_strerror(error);
    return found;
  }
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
    std::string address = endpoint.address().to_string();
    if (std::ranges::find(found.addresses, address) == found.addresses.end()) {
      found.addresses.push_back(std::move(address));
    }
  }
  ::freeaddrinfo(list);
  return found;
}

// The runtimes that still take answers: a lookup may outlast the runtime that asked, which waits
// for nothing that nobody waits for. Never destroyed, as threads may be left when the process ends.
struct Askers {
  std::mutex mutex;
  std::set<const IoRuntime*> alive;
};
Askers& askers() {
  static auto* const kept = new Askers;
  return *kept;
}

// Each lookup has a thread of its own: one that hangs holds up no other.
bool start(IoRuntime& runtime, const std::shared_ptr<Lookup>& lookup) {
  if (lookups.fetch_add(1) >= kLookupsMax) {
    --lookups;
    return false;
  }
  {
    const std::lock_guard lock(askers().mutex);
    askers().alive.insert(&runtime);
  }
  std::thread([&runtime, host = lookup->host, asked = std::weak_ptr(lookup)] {
    Found found = look_up(host);
    --lookups;
    const std::lock_guard lock(askers().mutex);
    if (!askers().alive.contains(&runtime)) return;
    asio::post(runtime.context(), [asked, found = std::move(found)]() mutable {
      const auto waiting = asked.lock();
      if (!waiting) return;  // its deadline passed
      waiting->answered = true;
      waiting->error = std::move(found.error);
      waiting->addresses = std::move(found.addresses);
      waiting->ended.cancel();
    });
  }).detach();
  return true;
}

}  // namespace

void forget_lookups(const IoRuntime& runtime) {
  const std::lock_guard lock(askers().mutex);
  askers().alive.erase(&runtime);
}

core::Task<core::Result<std::vector<std::string>>> resolve(IoRuntime& runtime, std::string host,
                                                           core::Origin origin,
                                                           core::Deadline deadline) {
  boost::system::error_code no_literal;
  asio::ip::make_address(host, no_literal);
  if (!no_literal) co_return std::vector{host};
  const auto no_address = [&host, origin](const std::string& why) {
    return core::fail(core::Code::unavailable, origin, core::Retry::safe,
                      "The name " + host + " has no address: " + why + ".");
  };
  const auto lookup = std::make_shared<Lookup>(runtime.context(), host, deadline);
  if (!start(runtime, lookup)) {
    co_return no_address("too many names are being looked up; are the name servers away?");
  }
  co_await lookup->ended.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!lookup->answered) co_return no_address("the name servers gave no answer in time");
  if (lookup->addresses.empty()) {
    co_return no_address(lookup->error.empty() ? "it is known and has none" : lookup->error);
  }
  co_return std::move(lookup->addresses);
}

}  // namespace daybook::io
