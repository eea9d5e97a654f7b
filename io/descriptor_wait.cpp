#include "io/descriptor_wait.hpp"

#include <cerrno>
#include <memory>
#include <system_error>

#include <fcntl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/runtime.hpp"

namespace daybook::io {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using boost::system::error_code;

// Shared with the handlers, which may run after the wait has ended.
struct Wait {
  Wait(asio::io_context& context, int duplicate, core::Deadline deadline)
      : socket(context, duplicate), ended(context, deadline) {}
  stream_descriptor socket;  // closes the duplicate
  asio::steady_timer ended;  // cancelled when the socket is ready
  bool ready = false;
};

void watch(const std::shared_ptr<Wait>& wait, stream_descriptor::wait_type kind) {
  wait->socket.async_wait(kind, [wait](const error_code& error) {
    if (error == asio::error::operation_aborted) return;
    wait->ready = true;
    wait->ended.cancel();
  });
}

}  // namespace

core::Task<core::Result<bool>> wait_until_ready(IoRuntime& runtime, int descriptor,
                                                Readiness wanted, core::Deadline deadline) {
  const int duplicate = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) {
    co_return core::fail(
        core::Code::overloaded, core::Origin::self, core::Retry::safe,
        "A socket cannot be waited for: " + std::generic_category().message(errno) +
            ". Raise the limit on open files.");
  }
  const auto wait = std::make_shared<Wait>(runtime.context(), duplicate, deadline);
  if (wanted != Readiness::writable) watch(wait, stream_descriptor::wait_read);
  if (wanted != Readiness::readable) watch(wait, stream_descriptor::wait_write);
  co_await wait->ended.async_wait(asio::as_tuple(asio::use_awaitable));
  error_code ignored;
  wait->socket.cancel(ignored);
  co_return wait->ready;
}

}  // namespace daybook::io
