// Result<T>: "the world failed". Every fallible operation returns one; no exception crosses a file.
// An Error says what went wrong (code), whose fault it is (origin), whether to try again (retry)
// and, in a full sentence, what a person should do (detail).
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace daybook::core {

enum class Code {
  invalid_argument,  // the request or a setting is wrong
  digest_mismatch,   // bytes do not have the digest that was promised
  unsupported,       // well-formed, but of a kind that is not taken
  too_large,         // a bound of limits.hpp or the configuration is exceeded
  not_found,         // there is no such thing
  conflict,          // it exists already, and is different
  in_flight,         // the same thing is being done right now
  timeout,           // a deadline passed
  overloaded,        // a budget or queue is full; later it will work
  unavailable,       // a dependency cannot be reached or says "not now"
  misconfigured,     // a dependency runs with settings that break a promise
  denied,            // credentials or permissions
  out_of_space,      // disk or memory of a store is full, or below its reserve
  damaged,           // stored bytes are not the bytes that were stored
  closed,            // the peer or we closed the connection
  internal,          // a bug that was contained
};

enum class Origin { client, self, buffer, object_store, metadata, sink };

enum class Retry {
  never,            // the same request will fail again
  safe,             // it did not happen; try again
  unknown_outcome,  // it may have happened; only an idempotent step may try again
};

struct [[nodiscard]] Error {
  Code code = Code::internal;
  Origin origin = Origin::self;
  Retry retry = Retry::never;
  std::string detail;
};

template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

using Failure = std::unexpected<Error>;

[[nodiscard]] inline Failure fail(Code code, Origin origin, Retry retry, std::string detail) {
  return Failure(Error{code, origin, retry, std::move(detail)});
}

// Hands an Error on: `if (!r) return pass(r);`
template <class T>
[[nodiscard]] Failure pass(const Result<T>& failed) {
  return Failure(failed.error());
}
template <class T>
[[nodiscard]] Failure pass(Result<T>&& failed) {
  return Failure(std::move(failed).error());
}

// Closed sets: their words are metric labels and JSON values.
[[nodiscard]] std::string_view to_string(Code code);
[[nodiscard]] std::string_view to_string(Origin origin);

}  // namespace daybook::core
