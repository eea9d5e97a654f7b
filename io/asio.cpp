// Boost.Asio, compiled once for the whole program (BOOST_ASIO_SEPARATE_COMPILATION).
//
// With liburing 2.2 and later a submission entry keeps the user data of its last use until it is
// set again. Asio 1.81 does not set it for cancellations and timeout removals, so that, once the
// ring has been used up once, the completion of a cancellation is taken for that of another
// operation: a read of 0 bytes on a healthy connection, or memory given back while the kernel still
// writes to it. Both calls therefore clear it here, where Asio's sources are compiled.
#if defined(BOOST_ASIO_HAS_IO_URING)
#include <liburing.h>

static inline void daybook_prep_cancel(io_uring_sqe* entry, void* target, int flags) {
  io_uring_prep_cancel(entry, target, flags);
  io_uring_sqe_set_data(entry, nullptr);
}
static inline void daybook_prep_timeout_remove(io_uring_sqe* entry, __u64 target, unsigned flags) {
  io_uring_prep_timeout_remove(entry, target, flags);
  io_uring_sqe_set_data(entry, nullptr);
}
#define io_uring_prep_cancel daybook_prep_cancel
#define io_uring_prep_timeout_remove daybook_prep_timeout_remove
#endif

#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
