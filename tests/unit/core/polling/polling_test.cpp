// The rules of polling: cursors, pages, waits, elements and the place that is kept.
#include <gtest/gtest.h>

#include "core/limits.hpp"
#include "core/polling/cursor.hpp"
#include "core/polling/element.hpp"
#include "core/polling/paging.hpp"
#include "core/polling/place.hpp"
#include "core/polling/schedule.hpp"
#include "core/text.hpp"

namespace daybook::core::polling {
namespace {

using namespace std::chrono_literals;

JsonPointer at(std::string_view text) {
  return *JsonPointer::parse(text);
}

// The error in place of the value, to compare both alike.
std::string text_of(const Result<std::string>& result) {
  return result ? *result : "! " + result.error().detail;
}

TEST(Cursor, further_is_by_number_by_time_or_by_text) {
  const std::pair<const char*, const char*> rising[] = {
      {"", "0"},
      {"9", "10"},
      {"-10", "-9"},
      {"-1", "0"},
      {"99999999999999999999998", "99999999999999999999999"},
      {"1.5", "1.25e1"},
      {"2026-11-21T10:00:00+02:00", "2026-11-21T08:00:01Z"},
      {"2026-11-21T08:00:00.1234561Z", "2026-11-21T08:00:00.1234562Z"},
      {"abc", "abd"},
      {"9x", "a"}};
  for (const auto& [low, high] : rising) {
    EXPECT_TRUE(is_beyond(high, low)) << low << " < " << high;
    EXPECT_FALSE(is_beyond(low, high)) << low << " < " << high;
    EXPECT_FALSE(is_beyond(high, high)) << high;
  }
  EXPECT_FALSE(is_beyond("007", "7")) << "the same number";
}

TEST(Cursor, is_sent_as_it_came_or_moved_back_by_the_overlap) {
  CursorRules rules{.from = CursorFrom::max, .path = at("/t"), .parameter = "since"};
  EXPECT_EQ(text_of(sent_cursor(rules, "any thing")), "any thing");
  rules.format = CursorFormat::rfc3339;
  EXPECT_EQ(text_of(sent_cursor(rules, "2026-11-21T08:00:00.123456789Z")),
            "2026-11-21T08:00:00.123456789Z");
  EXPECT_EQ(text_of(sent_cursor(rules, "")), "");
  EXPECT_EQ(text_of(sent_cursor(rules, "yesterday")),
            "! the cursor 'yesterday' is not of cursor_format rfc3339");
  rules.overlap = 90s;
  EXPECT_EQ(text_of(sent_cursor(rules, "2026-11-21T10:00:00+02:00")),
            "2026-11-21T07:58:30.000000Z");
  rules.format = CursorFormat::seconds;
  EXPECT_EQ(text_of(sent_cursor(rules, "1795238448")), "1795238358");
  EXPECT_EQ(text_of(sent_cursor(rules, "1795238448.9")), "1795238358") << "never too late";
  EXPECT_EQ(text_of(sent_cursor(rules, "10")), "0");
  EXPECT_NE(text_of(sent_cursor(rules, "1795238448780")).find("! "), std::string::npos)
      << "these are milliseconds";
  rules.format = CursorFormat::milliseconds;
  EXPECT_EQ(text_of(sent_cursor(rules, "1795238448780")), "1795238358780");
}

// The candidate after one page, or what is wrong.
std::string after_page(const CursorRules& rules, const std::vector<std::string>& elements,
                       std::string_view document = "{}",
                       std::optional<std::string_view> date = std::nullopt,
                       std::string candidate = "") {
  CursorTracker tracker(rules, std::move(candidate));
  for (const std::string& element : elements) {
    if (const auto fits = tracker.element(as_bytes(element)); !fits) {
      return "! " + fits.error().detail;
    }
  }
  const auto page = tracker.page(as_bytes(document), date);
  return page ? tracker.candidate() : "! " + page.error().detail;
}

TEST(Cursor, comes_from_an_element_the_answer_or_its_date) {
  const std::vector<std::string> elements = {R"({"t":"b"})", R"({"t":"c"})", R"({"t":"a"})"};
  const auto rules = [](CursorFrom from) {
    return CursorRules{.from = from, .path = at("/t"), .parameter = "since"};
  };
  EXPECT_EQ(after_page(rules(CursorFrom::last), elements), "a");
  EXPECT_EQ(after_page(rules(CursorFrom::first), elements), "b");
  EXPECT_EQ(after_page(rules(CursorFrom::max), elements), "c");
  EXPECT_EQ(after_page(rules(CursorFrom::max), elements, "{}", {}, "d"), "d");
  EXPECT_EQ(after_page(rules(CursorFrom::first), elements, "{}", {}, "z"), "z")
      << "the first of the first page";
  EXPECT_EQ(after_page(rules(CursorFrom::none), elements), "");
  EXPECT_EQ(after_page(rules(CursorFrom::last), {}, "{}", {}, "x"), "x");
  EXPECT_EQ(after_page(rules(CursorFrom::answer), elements, R"({"t":17})"), "17");
  EXPECT_EQ(after_page(rules(CursorFrom::answer), {}, R"({"t":null})", {}, "x"), "x");
  EXPECT_EQ(after_page(rules(CursorFrom::answer), {}, "{}", {}, "x"), "x");
  CursorRules date = rules(CursorFrom::date);
  date.format = CursorFormat::seconds;
  EXPECT_EQ(after_page(date, {}, "{}", "Sun, 06 Nov 1994 08:49:37 GMT"), "784111776")
      << "less the second that the Date cuts off";
  EXPECT_EQ(after_page(date, {}, "{}", "Sun, 06 Nov 1994 08:49:37 GMT", "5"), "5")
      << "of the first page";
}

TEST(Cursor, that_is_missing_is_an_error_that_says_where) {
  CursorRules rules{.from = CursorFrom::last, .path = at("/t"), .parameter = "since"};
  EXPECT_EQ(after_page(rules, {R"({"u":1})"}),
            "! cursor_path, in the last element: nothing is at /t: the document has no member 't'");
  EXPECT_EQ(after_page(rules, {R"({"t":null})"}), "! cursor_path, in the last element: it is null");
  EXPECT_EQ(after_page(rules, {R"({"t":""})"}), "! cursor_path, in the last element: it is empty");
  EXPECT_EQ(after_page(rules, {R"({"t":[]})"}),
            "! cursor_path, in the last element: it is an array, not a text");
  rules.from = CursorFrom::max;
  EXPECT_NE(after_page(rules, {R"({"t":1})", "{}"}).find("! cursor_path, in an element"),
            std::string::npos);
  rules.from = CursorFrom::answer;
  EXPECT_NE(after_page(rules, {"{}"}).find("! cursor_path, in the answer"), std::string::npos);
  rules.from = CursorFrom::date;
  EXPECT_NE(after_page(rules, {}).find("no Date"), std::string::npos);
}

TEST(Cursor, has_a_meaning_that_settings_change) {
  CursorRules rules{.from = CursorFrom::last, .path = at("/t"), .parameter = "since"};
  CursorRules other = rules;
  other.path = at("/u");
  EXPECT_NE(rules.meaning(), other.meaning());
  other = rules;
  other.overlap = 5s;
  other.start = "1";
  EXPECT_EQ(rules.meaning(), other.meaning());
}

TEST(Paging, a_parameter_is_set_once_and_encoded) {
  EXPECT_EQ(with_parameter("/a", "since", "x y&z"), "/a?since=x%20y%26z");
  EXPECT_EQ(with_parameter("/a?b=1", "since", "2"), "/a?b=1&since=2");
  EXPECT_EQ(with_parameter("/a?since=1&b=1&since=3", "since", "2"), "/a?b=1&since=2");
  EXPECT_EQ(with_parameter("/a?", "page[after]", "2"), "/a?page%5Bafter%5D=2");
  EXPECT_EQ(with_parameter("/a?page%5Bafter%5D=1", "page[after]", "2"), "/a?page%5Bafter%5D=2");
}

TEST(Paging, links_are_found_as_the_standard_writes_them) {
  const auto next_in = [](const std::vector<std::string>& lines) {
    http::Fields fields;
    for (const std::string& line : lines) fields.add("link", line);
    return find_link(fields, "next").value_or("(none)");
  };
  EXPECT_EQ(next_in({}), "(none)");
  EXPECT_EQ(next_in({R"(<https://h/x?page=2>; rel="next", <https://h/x?page=9>; rel="last")"}),
            "https://h/x?page=2");
  EXPECT_EQ(next_in({"</a>; rel=prev", "</b>;title=\"a, <c>; rel=next\" ; REL=\"foo NEXT\""}),
            "/b");
  EXPECT_EQ(next_in({"</a>; rel=prev; rel=next"}), "(none)") << "the first rel counts";
  EXPECT_EQ(next_in({"</a,b>; rel=next"}), "/a,b");
  EXPECT_EQ(next_in({"</a>; rel=next-page"}), "(none)");
  EXPECT_EQ(next_in({"</a; rel=next", "nonsense", "<"}), "(none)");
  EXPECT_EQ(next_in({R"(</a>; title="un\"closed; rel=next)"}), "(none)");
}

TEST(Paging, references_stay_with_the_origin) {
  const auto resolve = [](std::string_view reference) {
    return text_of(resolve_target("https://h:8443", "/v1/items?page=1", reference));
  };
  EXPECT_EQ(resolve("https://h:8443/x?y=1#z"), "/x?y=1");
  EXPECT_EQ(resolve("HTTPS://H:8443/x"), "/x");
  EXPECT_EQ(resolve("//h:8443/x"), "/x");
  EXPECT_EQ(resolve("https://h:8443?y=1"), "/?y=1");
  EXPECT_EQ(resolve("/x"), "/x");
  EXPECT_EQ(resolve("?page=2"), "/v1/items?page=2");
  EXPECT_EQ(resolve("more/2?a=../b"), "/v1/more/2?a=../b");
  EXPECT_EQ(resolve("../../../x/./y/.."), "/x/");
  for (const char* other : {"https://h/x", "http://h:8443/x", "https://h:8443@evil/x", "//evil/x",
                            "https://h:8443.evil/x", "ftp://h:8443/x"}) {
    EXPECT_NE(resolve(other).find("our headers are for that one only"), std::string::npos) << other;
  }
  EXPECT_EQ(text_of(resolve_target("https://h", "/a", "https://h:443/x")), "/x");
  EXPECT_NE(resolve("/a b").find("! "), std::string::npos);
  EXPECT_NE(resolve("/a\r\nX: y").find("! "), std::string::npos);
  EXPECT_NE(resolve(std::string(9000, 'a')).find("! "), std::string::npos);
}

TEST(Paging, the_next_page_is_a_link_or_a_member) {
  const auto next = [](const NextRules& rules, std::string_view document) {
    return text_of(next_target(rules, "http://h", "/a?p=1", {}, as_bytes(document)));
  };
  const NextRules url{.from = NextFrom::member, .path = at("/next"), .parameter = ""};
  EXPECT_EQ(next(url, R"({"next":"/a?p=2"})"), "/a?p=2");
  for (const char* last : {R"({"next":null})", R"({"next":""})", R"({"next":false})", "{}", "[]"}) {
    EXPECT_EQ(next(url, last), "") << last;
  }
  EXPECT_EQ(next(url, R"({"next":{}})"), "! next_path: it is an object, not a text");
  EXPECT_NE(next(url, R"({"next":"?p=1"})").find("in a circle"), std::string::npos);
  const NextRules token{.from = NextFrom::member, .path = at("/next"), .parameter = "p"};
  EXPECT_EQ(next(token, R"({"next":17})"), "/a?p=17");
  EXPECT_EQ(next({}, R"({"next":"/b"})"), "");
}

TEST(Schedule, failures_wait_ever_longer_and_no_shorter_than_they_are_told) {
  const ScheduleRules rules{.interval = 60s, .jitter = 3s, .backoff_max = 15min};
  EXPECT_EQ(wait_after_success(rules, 0), 60s);
  EXPECT_EQ(wait_after_success(rules, 1), 63s);
  EXPECT_EQ(wait_after_failure(rules, 1, {}, 1), 60s);
  EXPECT_EQ(wait_after_failure(rules, 3, {}, 1), 240s);
  EXPECT_EQ(wait_after_failure(rules, 3, {}, 0.5), 120s) << "full jitter";
  EXPECT_EQ(wait_after_failure(rules, 3, {}, 0), 1s) << "and yet no tight loop";
  EXPECT_EQ(wait_after_failure(rules, 100, {}, 1), 15min);
  EXPECT_EQ(wait_after_failure(rules, 1, 20min, 1), 20min);
  EXPECT_EQ(wait_after_failure(rules, 100, 5s, 1), 15min);
  const ScheduleRules slow{.interval = 1h, .jitter = 0s, .backoff_max = 15min};
  EXPECT_EQ(wait_after_failure(slow, 9, {}, 1), 1h);
}

TEST(Schedule, retry_after_is_seconds_or_a_date) {
  const WallTime now = *parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(parse_retry_after("120", now), Duration(120s));
  EXPECT_EQ(parse_retry_after(" 0 ", now), Duration(0s));
  EXPECT_EQ(parse_retry_after("99999999999999999999999", now), Duration(24h));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Duration(60s));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Duration(0s));
  for (const char* bad : {"", "soon", "-5", "1.5", "12x"}) {
    EXPECT_EQ(parse_retry_after(bad, now), std::nullopt) << bad;
  }
}

ElementRules element_rules() {
  ElementRules rules;
  rules.poller = "p";
  rules.tenant = "t";
  rules.source = "https://h/x";
  rules.type = "constant";
  rules.attributes = {{"site", "a"}};
  return rules;
}

TEST(Element, without_an_id_is_known_by_its_bytes) {
  const std::string bytes = R"({"id": 1})";
  const Sha256 digest = sha256(as_bytes(bytes));
  const auto record = record_of(element_rules(), as_bytes(bytes), digest, true, "application/json");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->key.tenant, "t");
  EXPECT_EQ(record->key.key, "poller:p:sha256:" + digest.hex());
  EXPECT_EQ(record->envelope.idempotency_key, record->key.key);
  EXPECT_EQ(record->envelope.context,
            (std::map<std::string, std::string>{{"door", "poller"}, {"poller", "p"}}));
  EXPECT_EQ(record->envelope.attributes, (std::map<std::string, std::string>{{"site", "a"}}));
  EXPECT_EQ(record->envelope.type, "constant");
  EXPECT_EQ(record->envelope.content_type, "application/json");
}

TEST(Element, gives_its_id_and_attributes) {
  ElementRules rules = element_rules();
  rules.id = at("/meta/id");
  rules.paths = {{"type", at("/kind")},
                 {"time", at("/at")},
                 {"user", at("/who")},
                 {"none", at("/none")},
                 {"null", at("/null")}};
  const std::string bytes =
      R"({"meta":{"id":12345678901234567890},"kind":"k","at":"2026-11-21T08:00:00Z","who":"é",)"
      R"("null":null})";
  const Sha256 digest = sha256(as_bytes(bytes));
  const auto record = record_of(rules, as_bytes(bytes), digest, true, "application/json");
  ASSERT_TRUE(record) << record.error().detail;
  EXPECT_EQ(record->key.key, "poller:p:id:12345678901234567890");
  EXPECT_EQ(record->envelope.event_id, "12345678901234567890");
  EXPECT_EQ(record->envelope.type, "k");
  EXPECT_EQ(record->envelope.event_time, parse_time("2026-11-21T08:00:00Z"));
  EXPECT_EQ(record->envelope.attributes,
            (std::map<std::string, std::string>{{"site", "a"}, {"user", "é"}}));
  EXPECT_EQ(key_of_change(record->key, digest).key, record->key.key + ":" + digest.hex());
}

TEST(Element, a_long_id_stands_by_its_digest) {
  ElementRules rules = element_rules();
  rules.id = at("");
  const std::string id(2000, 'x');
  const std::string bytes = "\"" + id + "\"";
  const Sha256 digest = sha256(as_bytes(bytes));
  const auto record = record_of(rules, as_bytes(bytes), digest, true, "application/json");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->key.key, "poller:p:id-sha256:" + sha256(as_bytes(id)).hex());
  EXPECT_LE(key_of_change(record->key, digest).key.size(), limits::kIdempotencyKeyBytesMax);
  EXPECT_EQ(record->envelope.event_id, "");
}

TEST(Element, that_is_not_fit_says_why) {
  const auto why = [](ElementRules rules, std::string_view bytes) {
    const auto record =
        record_of(rules, as_bytes(bytes), sha256(as_bytes(bytes)), true, "application/json");
    return record ? std::string("(fit)") : record.error().detail;
  };
  ElementRules rules = element_rules();
  rules.id = at("/id");
  EXPECT_EQ(why(rules, "{}"), "its id: nothing is at /id: the document has no member 'id'");
  EXPECT_EQ(why(rules, R"({"id":null})"), "its id: it is null");
  EXPECT_EQ(why(rules, R"({"id":""})"), "its id: it is empty");
  EXPECT_EQ(why(rules, R"({"id":1,"id":2})"), "its id: a name on the way to /id stands twice");
  rules.id.reset();
  rules.paths = {{"user", at("/user")}};
  EXPECT_EQ(why(rules, R"({"user":{}})"), "attribute user at /user: it is an object, not a text");
  EXPECT_EQ(why(rules, R"({"user":")" + std::string(2000, 'x') + R"("})"),
            "attribute user at /user is no text of at most 1KiB");
  rules.paths = {{"time", at("/t")}};
  EXPECT_EQ(why(rules, R"({"t":"noon"})"), "attribute time: 'noon' is no RFC 3339 time");
}

TEST(Place, comes_back_as_it_was_kept) {
  PollPlace place{.meaning = "m",
                  .cursor = "c\"é",
                  .next = "/n",
                  .candidate = "d",
                  .validated = "/v",
                  .etag = "\"e\"",
                  .last_modified = "l",
                  .completed_at = parse_time("2026-11-21T08:00:00.000001Z"),
                  .set_aside = {"a", "b"}};
  const auto again = place_from_json(to_json(place));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, place);
  EXPECT_EQ(*place_from_json(""), PollPlace{});
  EXPECT_EQ(*place_from_json(to_json(PollPlace{})), PollPlace{});
  for (const char* bad : {"x", "[]", R"({"cursor":1})", R"({"completed_at":"x"})",
                          R"({"set_aside":[1]})", R"({"set_aside":{}})"}) {
    const auto read = place_from_json(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().code, Code::damaged);
  }
}

TEST(Place, remembers_a_bounded_number_of_bad_elements) {
  PollPlace place;
  for (int i = 0; i < 1500; ++i) place.set_aside.push_back(std::to_string(i));
  const auto again = place_from_json(to_json(place));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->set_aside.size(), 1000u);
  EXPECT_EQ(again->set_aside.front(), "500");
}

}  // namespace
}  // namespace daybook::core::polling
