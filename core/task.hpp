// Task<T>: the word for "later". It is asio::awaitable; nothing else of Asio is seen in core.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace daybook::core {

template <class T = void>
using Task = boost::asio::awaitable<T>;

}  // namespace daybook::core
