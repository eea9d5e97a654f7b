// What a reader of the feed asks for, as its query says it. Pure; any thread.
//
//   /v1/feed?after=17&feed=…    behind a number; the feed's name keeps it from meaning another
//   store
//            after=last         only what comes from now on
//            since=TIME         what was published then or later; seconds or milliseconds since
//            1970,
//                               or RFC 3339
//   (neither)                   from the oldest entry that is kept
//            limit=100  wait=30s  payload=inline|link  inline_max=1MiB
//            tenant=…  source=…  type=…  subject=…     repeated: any of them
//   /messages?timestamp=TIME    the same, for readers of the original's shape: payload=inline where
//                               nothing else is said, and as many as may be
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/envelope.hpp"
#include "core/result.hpp"

namespace daybook::api {

struct FeedFilter {
  // Empty: not asked for. An empty text: the attribute is not given.
  std::vector<std::string> tenants, sources, types, subjects;

  [[nodiscard]] bool fits(const core::Envelope& envelope) const;
  [[nodiscard]] bool empty() const {
    return tenants.empty() && sources.empty() && types.empty() && subjects.empty();
  }
};

enum class FeedPayload { reference, inlined, link };

struct PayloadWish {
  FeedPayload form = FeedPayload::reference;
  std::uint64_t inline_max = 0;
  bool operator==(const PayloadWish&) const = default;
};

struct FeedRequest {
  std::string feed;  // whose number `after` is; empty: not said
  std::optional<std::uint64_t> after;
  bool from_last = false;
  std::optional<core::WallTime> since;
  std::uint32_t limit = 100;
  core::Duration wait{};
  FeedFilter filter;
  PayloadWish payload;
  PayloadWish usual_payload;  // what is meant where nothing is said
};

struct FeedRequestBounds {
  core::Duration wait_max{};
  std::uint64_t inline_max = 0;
  // Where the query says nothing.
  std::uint32_t limit = 100;
  FeedPayload payload = FeedPayload::reference;
};

// time_name: "since" or "timestamp". A name that is not known and a value that means nothing are
// Code::invalid_argument, which names it.
[[nodiscard]] core::Result<FeedRequest> parse_feed_request(std::string_view query,
                                                           std::string_view time_name,
                                                           const FeedRequestBounds& bounds);

// A number without a fraction from 100,000,000,000 on is milliseconds, else seconds: as seconds
// that would be the year 5138, as milliseconds March 1973.
[[nodiscard]] std::optional<core::WallTime> parse_feed_time(std::string_view text);

// "<feed>:<number>", of an event stream; replaces what the query says of where to begin. A number
// alone is taken, too.
[[nodiscard]] std::string event_id(std::string_view feed, std::uint64_t number);
[[nodiscard]] core::Result<void> begin_behind_event(std::string_view id, FeedRequest& request);

// The same request, going on behind that number: "/v1/feed?after=…".
[[nodiscard]] std::string next_url(std::string_view path, const FeedRequest& request,
                                   std::string_view feed, std::uint64_t after);

}  // namespace daybook::api
