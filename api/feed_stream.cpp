// The feed as an event stream (WHATWG HTML, section 9.2 "Server-sent events").
#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "api/feed.hpp"
#include "api/problem.hpp"
#include "core/text.hpp"

namespace daybook::api {

using core::Deadline;
using core::Result;
using core::Task;

namespace {

// How long a client waits before it connects again.
constexpr std::string_view kHello = "retry: 3000\n\n";

}  // namespace

// Last-Event-ID goes before the query, which a client repeats as it was when it connects again.
Task<int> Feed::stream(io::HttpExchange& exchange, FeedRequest request) {
  Result<void> sound;
  if (const auto id = exchange.head().fields.find("Last-Event-ID"); id && !id->empty()) {
    sound = begin_behind_event(*id, request);
  }
  Placed placed = sound ? co_await place_of(request) : Placed(problem(sound.error()));
  auto reader = tail_.enter(true);
  if (!reader && std::holds_alternative<Place>(placed)) {
    placed =
        problem(503, "overloaded",
                "As many readers wait for the feed as may (feed.readers_max); try again soon.");
  }
  if (auto* refused = std::get_if<io::HttpAnswer>(&placed)) {
    const int status = refused->status;
    refused->fields.add("Cache-Control", "no-store");
    static_cast<void>(co_await exchange.respond(std::move(*refused)));
    co_return status;
  }
  io::HttpAnswer head;
  head.fields.add("Content-Type", "text/event-stream");
  head.fields.add("Cache-Control", "no-store");
  head.fields.add("X-Accel-Buffering", "no");  // nginx would collect events
  if (!co_await exchange.begin_stream(std::move(head))) co_return 499;
  if (exchange.head().method == "HEAD") co_return 200;
  const auto streamed =
      co_await stream_events(exchange, std::move(request), std::move(std::get<Place>(placed)));
  if (!streamed && streamed.error().origin != core::Origin::client) {
    spdlog::warn("an event stream of the feed ends: {}", streamed.error().detail);
  }
  static_cast<void>(co_await exchange.end());
  co_return 200;
}

// Until the client leaves, does not take what it is sent, or we stop. An Error of the store ends
// the stream: the client comes again, behind the last event that it got.
Task<Result<void>> Feed::stream_events(io::HttpExchange& exchange, FeedRequest request,
                                       Place place) {
  const auto asked = std::make_shared<const FeedRequest>(std::move(request));
  auto sent = co_await exchange.write({core::as_bytes(kHello)});
  core::SteadyTime silent_since = services_.runtime.steady_now();
  std::uint64_t told = place.after;  // what the client knows that it has
  bool from_tail = false;
  while (sent && !tail_.closed()) {
    auto batch = co_await next_batch(asked, place, Shape::events, from_tail);
    if (!batch) co_return pass(batch);
    if (batch->jumped) {  // it may have read more slowly than entries are kept
      const auto bounds = co_await services_.metadata.feed_bounds(deadline());
      if (!bounds) co_return pass(bounds);
      if (place.after + 1 < bounds->first) break;  // the next connection gets 410
    }
    place.after = batch->after;
    if (batch->entries != 0) {
      services_.metrics.add(services_.metrics.feed_entries, {{"kind", "stream"}},
                            static_cast<double>(batch->entries));
      sent = co_await exchange.write({core::as_bytes(batch->text)});
      silent_since = services_.runtime.steady_now();
      told = place.after;
    }
    const bool more = !batch->at_end;
    batch->memory = {};
    if (more) continue;
    const Deadline next = silent_since + config_.feed_heartbeat;
    co_await tail_.wait_behind(place.after, next);
    from_tail = true;
    if (services_.runtime.steady_now() < next) continue;
    // An event without data only moves the client's last event id, behind what the filter left out.
    std::string beat = ":\n";
    if (told != place.after) beat += "id: " + event_id(place.feed, place.after) + "\n\n";
    sent = co_await exchange.write({core::as_bytes(beat)});
    silent_since = services_.runtime.steady_now();
    told = place.after;
  }
  co_return sent;
}

}  // namespace daybook::api
