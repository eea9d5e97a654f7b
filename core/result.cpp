#include "core/result.hpp"

namespace daybook::core {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::digest_mismatch:
      return "digest_mismatch";
    case Code::unsupported:
      return "unsupported";
    case Code::too_large:
      return "too_large";
    case Code::not_found:
      return "not_found";
    case Code::conflict:
      return "conflict";
    case Code::in_flight:
      return "in_flight";
    case Code::timeout:
      return "timeout";
    case Code::overloaded:
      return "overloaded";
    case Code::unavailable:
      return "unavailable";
    case Code::misconfigured:
      return "misconfigured";
    case Code::denied:
      return "denied";
    case Code::out_of_space:
      return "out_of_space";
    case Code::damaged:
      return "damaged";
    case Code::closed:
      return "closed";
    case Code::internal:
      return "internal";
  }
  return "internal";
}

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::client:
      return "client";
    case Origin::self:
      return "self";
    case Origin::buffer:
      return "buffer";
    case Origin::object_store:
      return "object_store";
    case Origin::metadata:
      return "metadata";
    case Origin::sink:
      return "sink";
  }
  return "self";
}

}  // namespace daybook::core
