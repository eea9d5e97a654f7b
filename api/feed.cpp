#include "api/feed.hpp"

#include <algorithm>
#include <utility>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/memory_plan.hpp"
#include "api/problem.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::Code;
using core::Deadline;
using core::FeedBounds;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr core::Duration kReadTimeout = std::chrono::seconds(30);
constexpr core::Duration kMemoryWait = std::chrono::seconds(10);
// Entries that are read at once, and looked through for one answer where a filter leaves few.
constexpr std::uint32_t kReadAtOnce = 100;
constexpr std::uint64_t kLookedAtMost = 10'000;
constexpr core::Duration kFiguresTimeout = std::chrono::seconds(1);

io::HttpAnswer uncached(io::HttpAnswer answer) {
  answer.fields.add("Cache-Control", "no-store");
  return answer;
}

// 409: the number means another entry here, or none.
io::HttpAnswer other_feed(const std::string& detail) {
  return problem(409, "foreign_cursor", detail);
}

io::HttpAnswer gone(std::uint64_t first) {
  io::HttpAnswer answer =
      problem(410, "gone",
              "The next entry is no longer kept; the oldest that is has the number " +
                  std::to_string(first) + ". Go on with after=" + std::to_string(first - 1) +
                  ", and find what lies between with GET /v1/records.");
  // The problem's own members, and the number for programs (RFC 9457 section 3.2).
  answer.body.insert(answer.body.rfind('}'), ",\"first\":" + std::to_string(first));
  return answer;
}

Task<int> respond(io::HttpExchange& exchange, io::HttpAnswer answer) {
  const int status = answer.status;
  static_cast<void>(co_await exchange.respond(uncached(std::move(answer))));
  co_return status;
}

Task<int> respond(io::HttpExchange& exchange, const core::Error& error) {
  if (http_status(error) >= 500) spdlog::warn("feed: {}", error.detail);
  co_return co_await respond(exchange, problem(error));
}

io::HttpAnswer page_answer(const std::string& entries, const std::string& feed, std::uint64_t last,
                           const std::string& next) {
  std::string text;
  text.reserve(entries.size() + next.size() + 128);
  text += "{\"feed\":\"" + feed + "\",\"entries\":[";
  text += entries;
  text += "],\"last\":" + std::to_string(last) + ",\"next\":" + json::serialize(json::value(next)) +
          "}\n";
  return json_answer(200, std::move(text));
}

io::HttpAnswer messages_answer(const std::string& messages, bool at_end, const std::string& next) {
  std::string text;
  text.reserve(messages.size() + 3);
  text += '[';
  text += messages;
  text += "]\n";
  io::HttpAnswer answer = json_answer(200, std::move(text));
  answer.fields.add("Link", "<" + next + ">; rel=\"" + (at_end ? "monitor" : "next") + "\"");
  return answer;
}

io::HttpAnswer too_many_readers() {
  return problem(
      503, "overloaded",
      "As many readers wait for the feed as may (feed.readers_max); ask without wait, or "
      "try again soon.");
}

}  // namespace

Feed::Feed(Services services, const core::Config& config, std::size_t connections_max)
    : services_(services),
      config_(config),
      tail_(services.runtime, services.metadata,
            {config.feed_poll_interval,
             std::min<std::size_t>(config.feed_readers_max, connections_max / 2)}),
      entries_(services.runtime, services.workers, services.objects, config.feed_link_expiry),
      memory_(services.runtime, config.feed_memory_max) {
  for (const char* kind : {"page", "stream", "messages"}) {
    services_.metrics.add(services_.metrics.feed_entries, {{"kind", kind}}, 0);
  }
}

Deadline Feed::deadline() const {
  return services_.runtime.steady_now() + kReadTimeout;
}

// The original's readers ask once and follow nothing: they get as much as may be at once.
FeedRequestBounds Feed::bounds(Shape shape) const {
  FeedRequestBounds bounds{config_.feed_wait_max, config_.feed_inline_max};
  if (shape == Shape::messages) {
    bounds.limit = core::limits::kPageRecordsMax;
    bounds.payload = FeedPayload::inlined;
  }
  return bounds;
}

// The store is asked each time: its answer is cheap, and says what is new.
Task<> Feed::refresh_metrics() {
  const auto bounds =
      co_await services_.metadata.feed_bounds(services_.runtime.steady_now() + kFiguresTimeout);
  if (bounds) tail_.saw(bounds->last);
  services_.metrics.set(services_.metrics.feed_last, static_cast<double>(tail_.newest()));
  services_.metrics.set(services_.metrics.feed_readers, static_cast<double>(tail_.polls()),
                        {{"kind", "poll"}});
  services_.metrics.set(services_.metrics.feed_readers, static_cast<double>(tail_.streams()),
                        {{"kind", "stream"}});
}

Task<int> Feed::page(io::HttpExchange& exchange) {
  const auto accept = exchange.head().fields.find("Accept").value_or("");
  if (core::to_lower(accept).find("text/event-stream") == std::string::npos) {
    co_return co_await answer_pages(exchange, Shape::entries);
  }
  auto request = parse_feed_request(exchange.head().query, "since", bounds(Shape::events));
  if (!request) co_return co_await respond(exchange, request.error());
  co_return co_await stream(exchange, std::move(*request));
}

Task<int> Feed::messages(io::HttpExchange& exchange) {
  return answer_pages(exchange, Shape::messages);
}

// Where the request begins, in the feed as it is now.
Task<Feed::Placed> Feed::place_of(FeedRequest request) {
  const auto bounds = co_await services_.metadata.feed_bounds(deadline());
  if (!bounds) {
    spdlog::warn("feed: {}", bounds.error().detail);
    co_return problem(bounds.error());
  }
  tail_.saw(bounds->last);
  Place place{bounds->feed, bounds->first - 1, bounds->last};
  if (!request.feed.empty() && request.feed != bounds->feed) {
    co_return other_feed("This cursor is from another store, whose feed is " +
                         core::to_utf8(request.feed) + "; the feed of this one is " + bounds->feed +
                         ". Begin anew, without after and feed.");
  }
  if (request.from_last) place.after = bounds->last;
  if (request.after) {
    if (*request.after > bounds->last) {
      co_return other_feed("after=" + std::to_string(*request.after) +
                           " is beyond the last entry, " + std::to_string(bounds->last) +
                           ": the cursor is from another store, or this one was restored from a "
                           "backup. Begin anew.");
    }
    if (*request.after + 1 < bounds->first) co_return gone(bounds->first);
    place.after = *request.after;
  }
  if (request.since) {
    const auto overlap =
        std::chrono::duration_cast<std::chrono::microseconds>(config_.feed_overlap);
    const auto before =
        co_await services_.metadata.feed_before(*request.since - overlap, deadline());
    if (!before) {
      spdlog::warn("feed: {}", before.error().detail);
      co_return problem(before.error());
    }
    place.after = std::max(*before, place.after);
  }
  co_return place;
}

// --- pages ---

Task<int> Feed::answer_pages(io::HttpExchange& exchange, Shape shape) {
  const bool messages = shape == Shape::messages;
  auto parsed =
      parse_feed_request(exchange.head().query, messages ? "timestamp" : "since", bounds(shape));
  if (!parsed) co_return co_await respond(exchange, parsed.error());
  const auto request = std::make_shared<const FeedRequest>(std::move(*parsed));
  Placed placed = co_await place_of(*request);
  if (auto* refused = std::get_if<io::HttpAnswer>(&placed)) {
    co_return co_await respond(exchange, std::move(*refused));
  }
  Place& place = std::get<Place>(placed);
  const bool may_wait = request->wait != core::Duration{} && exchange.head().method != "HEAD";
  const Deadline end = services_.runtime.steady_now() + request->wait;
  std::unique_ptr<FeedTail::Reader> reader;
  auto batch = co_await next_batch(request, place, shape, false);
  while (batch && batch->entries == 0 && batch->at_end && may_wait && !tail_.closed() &&
         services_.runtime.steady_now() < end) {
    if (!reader && !(reader = tail_.enter(false))) {
      co_return co_await respond(exchange, too_many_readers());
    }
    place.after = batch->after;
    batch->memory = {};
    co_await tail_.wait_behind(place.after, end);
    batch = co_await next_batch(request, place, shape, true);
  }
  if (!batch) co_return co_await respond(exchange, batch.error());
  services_.metrics.add(services_.metrics.feed_entries, {{"kind", messages ? "messages" : "page"}},
                        static_cast<double>(batch->entries));
  place.after = batch->after;
  place.last = std::max(place.last, place.after);
  co_return co_await respond(
      exchange, messages ? messages_answer(batch->text, batch->at_end,
                                           next_url("/messages", *request, place.feed, place.after))
                         : page_answer(batch->text, place.feed, place.last,
                                       next_url("/v1/feed", *request, place.feed, place.after)));
}

std::uint64_t Feed::bytes_max(Shape shape) const {
  constexpr std::uint64_t kEventsBytes = 64 * core::KiB;
  return shape == Shape::events ? kEventsBytes : config_.feed_page_bytes_max;
}

std::uint64_t Feed::memory_for(PayloadWish wish, Shape shape) const {
  const bool inlined = wish.form == FeedPayload::inlined;
  return feed_answer_bytes(bytes_max(shape), inlined ? wish.inline_max : 0);
}

// Entries behind place.after that fit. An Error: there is none that could be given now.
Task<Result<Feed::Batch>> Feed::next_batch(std::shared_ptr<const FeedRequest> request, Place place,
                                           Shape shape, bool from_tail) {
  auto share = co_await memory_.acquire(memory_for(request->payload, shape),
                                        services_.runtime.steady_now() + kMemoryWait);
  if (!share) {
    co_return core::fail(Code::overloaded, Origin::self, Retry::safe,
                         "All memory for the feed's answers is in use (feed.memory_max); try again "
                         "soon.");
  }
  Batch batch;
  batch.after = place.after;
  std::uint64_t looked_at = 0;
  for (bool full = false; !full && !batch.at_end && looked_at < kLookedAtMost;) {
    const auto missing = static_cast<std::uint32_t>(request->limit - batch.entries);
    const std::uint32_t asked =
        request->filter.empty() ? std::min(missing, kReadAtOnce) : kReadAtOnce;
    const std::uint64_t last = tail_.last();
    const auto entries = from_tail ? co_await tail_.read(batch.after, asked, deadline())
                                   : co_await tail_.read_store(batch.after, asked, deadline());
    if (!entries) {
      if (batch.entries != 0) break;
      co_return pass(entries);
    }
    // Where nothing follows although more was seen before, its records were deleted by hand.
    if (entries->empty()) batch.after = std::max(batch.after, last);
    if (looked_at == 0 && !entries->empty()) {
      batch.jumped = entries->front()->sequence() > place.after + 1;
    }
    looked_at += entries->size();
    batch.at_end = entries->size() < asked;
    for (const auto& entry : *entries) {
      if (request->filter.fits(entry->row().envelope)) {
        const auto added = co_await add(batch, entry, request->payload, shape, place.feed);
        if (!added && batch.entries == 0) co_return pass(added);
        full = !added || !*added || batch.entries == request->limit;
        if (!added || !*added) break;
      }
      batch.after = entry->sequence();
      if (full) break;
    }
    if (full) batch.at_end = false;
  }
  share->shrink_to(std::min(batch.text.size(), share->amount()));
  batch.memory = std::move(*share);
  co_return batch;
}

// false: it is for the next batch.
Task<Result<bool>> Feed::add(Batch& batch, std::shared_ptr<const TailEntry> entry, PayloadWish wish,
                             Shape shape, std::string feed) {
  const bool messages = shape == Shape::messages;
  const std::uint64_t size = messages ? FeedEntries::size_of_message(*entry, wish)
                                      : FeedEntries::size_of_entry(*entry, wish);
  if (batch.entries != 0 && batch.text.size() + size > bytes_max(shape)) co_return false;
  const auto text =
      messages ? co_await entries_.message(entry, wish) : co_await entries_.entry(entry, wish);
  if (!text) co_return pass(text);
  if (shape == Shape::events) {
    batch.text += "id: " + event_id(feed, entry->sequence()) + "\nevent: record\ndata: ";
    batch.text += *text;
    batch.text += "\n\n";
  } else {
    if (batch.entries != 0) batch.text += ",\n";
    batch.text += *text;
  }
  ++batch.entries;
  co_return true;
}

}  // namespace daybook::api
