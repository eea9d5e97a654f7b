// What a reader of the feed may ask for, what is refused, and how a page's `next` says it again.
#include "api/feed_request.hpp"

#include <gtest/gtest.h>

#include "core/text.hpp"

namespace daybook::api {
namespace {

using namespace std::chrono_literals;

constexpr FeedRequestBounds kBounds{60s, 8 * core::MiB};

core::Result<FeedRequest> parse(std::string_view query) {
  return parse_feed_request(query, "since", kBounds);
}

TEST(FeedRequest, of_nothing_is_the_whole_feed_by_reference) {
  const auto request = parse("");
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_FALSE(request->after || request->since || request->from_last);
  EXPECT_EQ(request->limit, 100U);
  EXPECT_EQ(request->wait, core::Duration{});
  EXPECT_EQ(request->payload.form, FeedPayload::reference);
  EXPECT_TRUE(request->filter.fits({}));
}

TEST(FeedRequest, has_what_its_query_says) {
  const auto request = parse(
      "after=17&feed=abc&limit=1000&wait=30s&payload=inline&inline_max=64KiB&type=a&type=b%26c");
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_EQ(request->after, 17U);
  EXPECT_EQ(request->feed, "abc");
  EXPECT_EQ(request->limit, 1000U);
  EXPECT_EQ(request->wait, 30s);
  EXPECT_EQ(request->payload.form, FeedPayload::inlined);
  EXPECT_EQ(request->payload.inline_max, 64 * core::KiB);
  EXPECT_EQ(request->filter.types, (std::vector<std::string>{"a", "b&c"}));
  EXPECT_TRUE(parse("after=last")->from_last);
  EXPECT_EQ(parse("after=0")->after, 0U);
  EXPECT_EQ(parse("after=18446744073709551615")->after, 18'446'744'073'709'551'615U);
  EXPECT_EQ(parse("payload=link")->payload.form, FeedPayload::link);
}

TEST(FeedRequest, names_what_is_wrong_with_it) {
  const std::pair<const char*, const char*> cases[] = {
      {"after=-1", "'after'"},
      {"after=1x", "'after'"},
      {"after=", "'after'"},
      {"after=18446744073709551616", "'after'"},
      {"after=1&since=2", "'since'"},
      {"since=yesterday", "'since'"},
      {"since=", "'since'"},
      {"since=%zz", "'since'"},
      {"limit=0", "'limit'"},
      {"limit=1001", "'limit'"},
      {"limit=ten", "'limit'"},
      {"wait=61s", "feed.wait_max"},
      {"wait=soon", "'wait'"},
      {"payload=all", "'payload'"},
      {"inline_max=9MiB", "feed.inline_max"},
      {"inline_max=x", "'inline_max'"},
      {"colour=red", "'colour'"},
      {"typ=a", "'type'"},
      {"timestamp=1", "'timestamp'"},
      {"state=indexed", "tenant, source, type and subject"},
  };
  for (const auto& [query, words] : cases) {
    const auto request = parse(query);
    ASSERT_FALSE(request) << query;
    EXPECT_EQ(request.error().code, core::Code::invalid_argument);
    EXPECT_NE(request.error().detail.find(words), std::string::npos) << request.error().detail;
  }
  EXPECT_TRUE(parse_feed_request("timestamp=1", "timestamp", kBounds));
  EXPECT_FALSE(parse_feed_request("since=1", "timestamp", kBounds));
}

TEST(FeedRequest, tells_seconds_from_milliseconds_by_their_size) {
  const auto time = [](const char* text) { return core::parse_time(text).value(); };
  const std::pair<const char*, core::WallTime> cases[] = {
      {"0", time("1970-01-01T00:00:00Z")},
      {"1795233906", time("2026-11-21T04:05:06Z")},
      {"1795233906.5", time("2026-11-21T04:05:06.5Z")},
      {"1795233906.1234567", time("2026-11-21T04:05:06.123456Z")},
      {"1795233906123", time("2026-11-21T04:05:06.123Z")},
      {"99999999999", time("5138-11-16T09:46:39Z")},
      {"100000000000", time("1973-03-03T09:46:40Z")},
      {"2026-11-21T04:05:06Z", time("2026-11-21T04:05:06Z")},
      {"2026-11-21T05:05:06+01:00", time("2026-11-21T04:05:06Z")},
      {"2026-11-21T05:05:06 01:00", time("2026-11-21T04:05:06Z")},  // a plus sign in a query
      {"2026-11-21 04:05:06.25", time("2026-11-21T04:05:06.25Z")},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(parse_feed_time(text), expected) << text;
  }
  for (const char* text : {"", ".", "1.", "1.2.3", "-1", "1e9", "253402300800000", "now",
                           "1795233906123.5", "2026-13-01T00:00:00Z", "2026-11-21", " 1"}) {
    EXPECT_EQ(parse_feed_time(text), std::nullopt) << text;
  }
}

TEST(FeedFilter, wants_all_attributes_and_any_of_several_values) {
  core::Envelope envelope;
  envelope.tenant = "bank";
  envelope.type = "login";
  const auto fits = [&](std::string_view query) { return parse(query)->filter.fits(envelope); };
  EXPECT_TRUE(fits("tenant=bank"));
  EXPECT_TRUE(fits("tenant=shop&tenant=bank&type=login"));
  EXPECT_FALSE(fits("tenant=shop"));
  EXPECT_FALSE(fits("tenant=bank&type=logout"));
  EXPECT_TRUE(fits("subject=")) << "an empty text: it has none";
  EXPECT_FALSE(fits("type="));
}

TEST(FeedRequest, is_said_again_by_the_next_page) {
  const auto first = parse(
      "since=1795233906&limit=7&wait=1500ms&tenant=a%20b&source=%2Fs&type=x&type=y&subject=&"
      "payload=inline&inline_max=1KiB");
  const std::string url = next_url("/v1/feed", *first, "name", 42);
  EXPECT_TRUE(url.starts_with("/v1/feed?after=42&feed=name&")) << url;
  const auto next = parse(url.substr(url.find('?') + 1));
  ASSERT_TRUE(next) << url << ": " << next.error().detail;
  EXPECT_EQ(next->after, 42U);
  EXPECT_EQ(next->feed, "name");
  EXPECT_EQ(next->limit, first->limit);
  EXPECT_EQ(next->wait, first->wait);
  EXPECT_EQ(next->filter.tenants, first->filter.tenants);
  EXPECT_EQ(next->filter.sources, first->filter.sources);
  EXPECT_EQ(next->filter.types, first->filter.types);
  EXPECT_EQ(next->filter.subjects, first->filter.subjects);
  EXPECT_EQ(next->payload.form, first->payload.form);
  EXPECT_EQ(next->payload.inline_max, first->payload.inline_max);
  EXPECT_EQ(next_url("/v1/feed", *next, "name", 42), url);
}

TEST(FeedRequest, says_of_payloads_only_what_is_not_usual) {
  FeedRequestBounds bounds = kBounds;
  bounds.limit = 1000;
  bounds.payload = FeedPayload::inlined;
  const auto next_of = [&bounds](std::string_view query) {
    const auto request = parse_feed_request(query, "timestamp", bounds);
    return request ? next_url("/messages", *request, "name", 42) : request.error().detail;
  };
  const std::string usual = "/messages?after=42&feed=name&limit=1000";
  EXPECT_EQ(next_of("timestamp=0"), usual);
  EXPECT_EQ(next_of("payload=inline"), usual);
  EXPECT_EQ(next_of("payload=reference"), usual + "&payload=reference");
  EXPECT_EQ(next_of("payload=link"), usual + "&payload=link");
  EXPECT_EQ(next_of("inline_max=1KiB"), usual + "&payload=inline&inline_max=1KiB");
}

TEST(FeedRequest, goes_on_behind_an_event) {
  FeedRequest request;
  request.since = core::WallTime();
  ASSERT_TRUE(begin_behind_event(event_id("ab-cd", 17), request));
  EXPECT_EQ(request.after, 17U);
  EXPECT_EQ(request.feed, "ab-cd");
  EXPECT_EQ(request.since, std::nullopt);
  ASSERT_TRUE(begin_behind_event("9", request));
  EXPECT_EQ(request.after, 9U);
  EXPECT_EQ(request.feed, "");
  for (const std::string id : {"", "x", "a:", ":x", "a:-1"}) {
    EXPECT_FALSE(begin_behind_event(id, request)) << id;
  }
  EXPECT_FALSE(begin_behind_event(std::string(500, 'a') + ":1", request));
}

}  // namespace
}  // namespace daybook::api
