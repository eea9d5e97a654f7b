#include "io/resolve.hpp"

#include <algorithm>
#include <memory>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/runtime.hpp"

namespace daybook::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Shared with the handler: a lookup in progress cannot be called back, and may outlast its asker.
struct Lookup {
  Lookup(asio::io_context& context, core::Deadline deadline)
      : resolver(context), ended(context, deadline) {}
  tcp::resolver resolver;
  asio::steady_timer ended;
  error_code error = asio::error::timed_out;
  std::vector<std::string> addresses;
};

}  // namespace

core::Task<core::Result<std::vector<std::string>>> resolve(IoRuntime& runtime, std::string host,
                                                           core::Origin origin,
                                                           core::Deadline deadline) {
  error_code no_literal;
  asio::ip::make_address(host, no_literal);
  if (!no_literal) co_return std::vector{host};
  const auto lookup = std::make_shared<Lookup>(runtime.context(), deadline);
  lookup->resolver.async_resolve(
      host, "", [lookup](const error_code& error, const tcp::resolver::results_type& found) {
        lookup->error = error;
        for (const auto& entry : found) {
          std::string address = entry.endpoint().address().to_string();
          if (std::ranges::find(lookup->addresses, address) == lookup->addresses.end()) {
            lookup->addresses.push_back(std::move(address));
          }
        }
        lookup->ended.cancel();
      });
  co_await lookup->ended.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!lookup->error && !lookup->addresses.empty()) co_return lookup->addresses;
  const std::string why = lookup->error == asio::error::timed_out
                              ? "the name servers gave no answer in time"
                              : lookup->error.message();
  co_return core::fail(core::Code::unavailable, origin, core::Retry::safe,
                       "The name " + host + " has no address: " + why + ".");
}

}  // namespace daybook::io
