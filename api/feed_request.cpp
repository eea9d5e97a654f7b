#include "api/feed_request.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/http/message.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::http::query_parameter;
using core::http::query_parameters;

constexpr std::array<std::string_view, 4> kFilters = {"tenant", "source", "type", "subject"};
constexpr std::array<std::string_view, 6> kOthers = {"after", "feed",    "limit",
                                                     "wait",  "payload", "inline_max"};
struct Form {
  std::string_view name;
  FeedPayload form;
};
constexpr std::array kForms = {Form{"reference", FeedPayload::reference},
                               Form{"inline", FeedPayload::inlined},
                               Form{"link", FeedPayload::link}};
constexpr std::uint64_t kFirstMilliseconds = 100'000'000'000;
constexpr std::uint64_t kLastMilliseconds = 253'402'300'799'999;  // of the year 9999
constexpr std::size_t kFeedNameBytesMax = 100;

core::Failure bad(std::string detail) {
  return core::fail(core::Code::invalid_argument, core::Origin::client, core::Retry::never,
                    std::move(detail));
}

core::Failure bad_value(std::string_view name, std::string_view expected) {
  return bad("Query parameter '" + std::string(name) + "' must be " + std::string(expected) + ".");
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

// Nothing that was asked for is passed over: a filter by something else would seem to hold.
Result<void> check_names(std::string_view query, std::string_view time_name) {
  std::vector<std::string_view> known(kFilters.begin(), kFilters.end());
  known.insert(known.end(), kOthers.begin(), kOthers.end());
  known.push_back(time_name);
  for (std::string_view rest = query; !rest.empty();) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::string_view name = pair.substr(0, pair.find('='));
    if (name.empty()) continue;
    if (std::ranges::find(known, name) == known.end()) {
      const std::string near = core::nearest_word(name, known);
      return bad("Query parameter '" + core::to_utf8(name.substr(0, 80)) + "' is not known" +
                 (near.empty() ? "" : "; did you mean '" + near + "'?") +
                 " Records are filtered by tenant, source, type and subject.");
    }
    if (!query_parameter(pair, name)) return bad_value(name, "percent-encoded text");
  }
  return {};
}

Result<void> read_place(std::string_view query, std::string_view time_name, FeedRequest& request) {
  const auto after = query_parameter(query, "after");
  const auto since = query_parameter(query, time_name);
  if (after && since) {
    return bad("The query says 'after' and '" + std::string(time_name) + "': say one of them.");
  }
  if (after == "last") {
    request.from_last = true;
  } else if (after) {
    request.after = parse_number<std::uint64_t>(*after);
    if (!request.after) return bad_value("after", "the number of an entry, or 'last'");
  }
  if (since) {
    request.since = parse_feed_time(*since);
    if (!request.since) {
      return bad_value(time_name,
                       "a time: seconds or milliseconds since 1970, or RFC 3339 like "
                       "2026-01-31T12:00:00Z");
    }
  }
  request.feed = query_parameter(query, "feed").value_or("");
  if (request.feed.size() > kFeedNameBytesMax) return bad_value("feed", "the name of a feed");
  return {};
}

Result<void> read_payload(std::string_view query, const FeedRequestBounds& bounds,
                          FeedRequest& request) {
  request.usual_payload = request.payload = {bounds.payload, bounds.inline_max};
  if (const auto payload = query_parameter(query, "payload")) {
    const auto form = std::ranges::find(kForms, *payload, &Form::name);
    if (form == kForms.end()) return bad_value("payload", "inline, link or reference");
    request.payload.form = form->form;
  }
  if (const auto text = query_parameter(query, "inline_max")) {
    const auto size = core::parse_size(*text);
    if (!size || *size > bounds.inline_max) {
      return bad_value("inline_max", "a size such as 256KiB, at most " +
                                         core::format_size(bounds.inline_max) +
                                         " (feed.inline_max)");
    }
    request.payload.inline_max = *size;
  }
  return {};
}

bool fits_one(const std::vector<std::string>& wanted, const std::string& value) {
  return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
}

void add_parameter(std::string& url, std::string_view name, std::string_view value) {
  url += '&';
  url += name;
  url += '=';
  url += core::percent_encode(value);
}

}  // namespace

bool FeedFilter::fits(const core::Envelope& envelope) const {
  return fits_one(tenants, envelope.tenant) && fits_one(sources, envelope.source) &&
         fits_one(types, envelope.type) && fits_one(subjects, envelope.subject);
}

Result<FeedRequest> parse_feed_request(std::string_view query, std::string_view time_name,
                                       const FeedRequestBounds& bounds) {
  FeedRequest request;
  if (auto known = check_names(query, time_name); !known) return pass(std::move(known));
  if (auto place = read_place(query, time_name, request); !place) return pass(std::move(place));
  if (auto form = read_payload(query, bounds, request); !form) return pass(std::move(form));
  request.limit = bounds.limit;
  if (const auto limit = query_parameter(query, "limit")) {
    const auto number = parse_number<std::uint32_t>(*limit);
    if (!number || *number < 1 || *number > core::limits::kPageRecordsMax) {
      return bad_value("limit",
                       "a number from 1 to " + std::to_string(core::limits::kPageRecordsMax));
    }
    request.limit = *number;
  }
  if (const auto wait = query_parameter(query, "wait")) {
    const auto time = core::parse_duration(*wait);
    if (!time || *time > bounds.wait_max) {
      const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(bounds.wait_max);
      return bad_value("wait", "a time such as 30s, at most " + core::format_duration(most) +
                                   " (feed.wait_max)");
    }
    request.wait = *time;
  }
  request.filter = {query_parameters(query, "tenant"), query_parameters(query, "source"),
                    query_parameters(query, "type"), query_parameters(query, "subject")};
  return request;
}

std::optional<core::WallTime> parse_feed_time(std::string_view text) {
  using core::WallTime;
  const bool digits = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || c == '.';
  });
  if (digits) {
    const std::string_view whole = text.substr(0, text.find('.'));
    const auto number = parse_number<std::uint64_t>(whole);
    if (!number || *number > kLastMilliseconds) return std::nullopt;
    if (whole.size() == text.size()) {
      const bool in_seconds = *number < kFirstMilliseconds;
      return WallTime(std::chrono::milliseconds(in_seconds ? *number * 1000 : *number));
    }
    // A fraction: of a second, with six digits that count.
    std::string fraction(text.substr(whole.size() + 1));
    if (fraction.empty() || fraction.find('.') != std::string::npos) return std::nullopt;
    if (*number >= kFirstMilliseconds) return std::nullopt;
    fraction.resize(6, '0');
    return WallTime(std::chrono::seconds(*number) +
                    std::chrono::microseconds(*parse_number<std::uint64_t>(fraction)));
  }
  std::string time(text);
  // '+' in a query is a space: 2026-01-31T12:00:00+01:00 comes so when nobody encodes it.
  if (time.size() > 6 && time[time.size() - 6] == ' ' && time[time.size() - 3] == ':') {
    time[time.size() - 6] = '+';
  }
  if (const auto parsed = core::parse_time(time)) return parsed;
  return core::parse_time(time + "Z");  // without a zone it is UTC, as in the original's messages
}

std::string event_id(std::string_view feed, std::uint64_t number) {
  return std::string(feed) + ":" + std::to_string(number);
}

Result<void> begin_behind_event(std::string_view id, FeedRequest& request) {
  const auto colon = id.rfind(':');
  const auto number =
      parse_number<std::uint64_t>(colon == std::string_view::npos ? id : id.substr(colon + 1));
  if (!number || id.size() > kFeedNameBytesMax + 21) {
    return bad("Last-Event-ID must be the id of an event of this feed.");
  }
  request.feed = colon == std::string_view::npos ? "" : std::string(id.substr(0, colon));
  request.after = *number;
  request.from_last = false;
  request.since.reset();
  return {};
}

std::string next_url(std::string_view path, const FeedRequest& request, std::string_view feed,
                     std::uint64_t after) {
  std::string url = std::string(path) + "?after=" + std::to_string(after);
  add_parameter(url, "feed", feed);
  add_parameter(url, "limit", std::to_string(request.limit));
  if (request.wait != core::Duration{}) {
    add_parameter(
        url, "wait",
        core::format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(request.wait)));
  }
  for (const std::string& value : request.filter.tenants) add_parameter(url, "tenant", value);
  for (const std::string& value : request.filter.sources) add_parameter(url, "source", value);
  for (const std::string& value : request.filter.types) add_parameter(url, "type", value);
  for (const std::string& value : request.filter.subjects) add_parameter(url, "subject", value);
  if (request.payload == request.usual_payload) return url;
  add_parameter(url, "payload", std::ranges::find(kForms, request.payload.form, &Form::form)->name);
  if (request.payload.form == FeedPayload::inlined) {
    add_parameter(url, "inline_max", core::format_size(request.payload.inline_max));
  }
  return url;
}

}  // namespace daybook::api
