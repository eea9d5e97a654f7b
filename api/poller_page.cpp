// One poll: pages, their elements, and the place behind them.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "api/poller.hpp"
#include "core/digest.hpp"
#include "core/http/fields.hpp"
#include "core/polling/element.hpp"
#include "core/polling/paging.hpp"
#include "core/polling/schedule.hpp"

namespace daybook::api {
namespace {

namespace polling = core::polling;
using core::Code;
using core::Result;
using core::Retry;
using core::Task;

// Elements of one page on their way to the acknowledgement; their order is kept all the same.
constexpr std::size_t kDepositsAtOnce = 16;
constexpr core::Duration kSaveTimeout = std::chrono::seconds(5);
// A place that only says when it was reached is not written more often.
constexpr auto kSaveTimesEvery = std::chrono::seconds(60);

core::Failure refuse(Code code, std::string detail) {
  return core::fail(code, core::Origin::client, Retry::safe, std::move(detail));
}

std::string field(const core::http::Fields& fields, std::string_view name) {
  return std::string(fields.find(name).value_or(""));
}

core::JsonElements::Settings split_settings(const polling::PollRules& rules, polling::Form form,
                                            std::size_t bytes) {
  return {.form = form == polling::Form::lines ? core::JsonElements::Form::lines
                                               : core::JsonElements::Form::json,
          .array = form == polling::Form::lines ? core::JsonPointer() : rules.elements,
          .one_is_enough = true,
          .element_bytes_max = bytes};
}

}  // namespace

// An element waits here until its record has its id, so that the next one gets a later id.
struct Poller::Ticket {
  bool identified = false;
};

Task<Poller::Polled> Poller::poll() {
  if (!place_sound_) co_return Polled{Outcome::no_place, place_sound_.error().detail, {}};
  Window window{.place = place_,
                .fence = fence_,
                .target = place_.next,
                .tracker = {rules_.cursor, place_.candidate},
                .began = services_.runtime.now(),
                .seen = {},
                .pages = 0,
                .resumed = !place_.next.empty()};
  const std::string meaning = rules_.cursor.meaning();
  if (!place_.cursor.empty() && place_.meaning != meaning) {
    co_return Polled{Outcome::no_place,
                     "its place was kept for other settings (" + place_.meaning + ", now " +
                         meaning +
                         "): put them back, or reset the place with daybook pollers "
                         "reset " +
                         rules_.name,
                     {}};
  }
  window.place.meaning = meaning;
  if (!window.resumed) {
    auto target = first_target(window.place);
    if (!target) co_return Polled{Outcome::bad_answer, target.error().detail, {}};
    window.target = *std::move(target);
  }
  for (std::uint64_t page = 0; page < rules_.pages_max && !closing_; ++page) {
    if (auto ended = co_await poll_page(window)) co_return *std::move(ended);
  }
  co_return Polled{};
}

Result<std::string> Poller::first_target(const polling::PollPlace& place) const {
  const polling::CursorRules& cursor = rules_.cursor;
  auto text = polling::sent_cursor(cursor, place.cursor.empty() ? cursor.start : place.cursor);
  if (!text || text->empty()) {
    return text ? Result<std::string>(rules_.target) : Result<std::string>(pass(std::move(text)));
  }
  return polling::with_parameter(rules_.target, cursor.parameter, *text);
}

// nullopt: the window goes on at window.target.
Task<std::optional<Poller::Polled>> Poller::poll_page(Window& window) {
  if (!window.seen.insert(window.target).second) {
    co_await drop_window(window);
    co_return Polled{Outcome::bad_answer, "the source's pages go in a circle", {}};
  }
  PollRequest request{.target = window.target, .etag = {}, .last_modified = {}};
  if (rules_.conditional && window.place.validated == window.target) {
    request.etag = window.place.etag;
    request.last_modified = window.place.last_modified;
  }
  const bool conditional = !request.etag.empty() || !request.last_modified.empty();
  auto answer = co_await services_.fetch(std::move(request));
  if (!answer) {
    const core::Error& error = answer.error();
    Outcome outcome = Outcome::unreachable;
    if (error.code == Code::timeout) outcome = Outcome::timeout;
    if (error.code == Code::too_large) outcome = Outcome::too_large;
    if (error.code == Code::invalid_argument) outcome = Outcome::bad_answer;
    if (error.code == Code::denied || error.code == Code::misconfigured) outcome = Outcome::refused;
    co_return Polled{outcome, error.detail, {}};
  }
  const int status = answer->status;
  if (status < 200 || status > 299 || status == 206) {
    const bool of_next = !window.place.next.empty() && window.target == window.place.next;
    if (of_next && (status == 400 || status == 404 || status == 410)) co_await drop_window(window);
    co_return judge(*answer, conditional);
  }
  const auto form = form_of(*answer);
  if (!form) co_return Polled{Outcome::bad_answer, form.error().detail, {}};
  if (!answer->body.empty() || status != 204) {
    auto taken = co_await take_elements(window, *answer, *form);
    if (!is_good(taken.outcome)) co_return taken;
  }
  co_return co_await end_page(window, *answer, *form);
}

// A page that is gone: the next poll begins the window again.
Task<> Poller::drop_window(Window& window) {
  window.place.next.clear();
  window.place.candidate.clear();
  static_cast<void>(co_await save(window));
}

Poller::Polled Poller::judge(const PollAnswer& answer, bool conditional) {
  const int status = answer.status;
  Polled polled{Outcome::refused, "the source answered " + std::to_string(status), {}};
  polled.retry_after =
      polling::parse_retry_after(field(answer.fields, "retry-after"), services_.runtime.now());
  if (status == 304 && conditional) return {Outcome::unchanged, {}, {}};
  if (status == 429 || (status == 503 && polled.retry_after)) {
    polled.outcome = Outcome::throttled;
  } else if (status >= 500 || status == 408 || status == 425) {
    polled.outcome = Outcome::failed;
  } else if (status >= 300 && status < 400) {
    const std::string where = field(answer.fields, "location");
    polled.detail += where.empty() ? "" : " and names " + where.substr(0, where.find('?'));
    polled.detail += "; redirections are not followed: set the url that is meant";
  } else if (status == 401 || status == 403) {
    polled.detail += ": look at header_files";
  } else if (status < 300) {
    polled.outcome = Outcome::bad_answer;
  }
  return polled;
}

Result<polling::Form> Poller::form_of(const PollAnswer& answer) const {
  if (const auto coding = answer.fields.find("content-encoding");
      coding && *coding != "identity" && !coding->empty()) {
    return refuse(Code::unsupported, "the answer is encoded (Content-Encoding: " +
                                         std::string(*coding) + "), which was not asked for");
  }
  if (rules_.form != polling::Form::by_type) return rules_.form;
  const std::string type = core::http::media_type(field(answer.fields, "content-type"));
  if (type.empty() || type == "application/json" || type == "text/json" ||
      type.ends_with("+json")) {
    return polling::Form::json;
  }
  if (type == "application/x-ndjson" || type == "application/ndjson" ||
      type == "application/jsonl" || type == "application/x-jsonlines") {
    return polling::Form::lines;
  }
  return refuse(Code::unsupported,
                "the answer's Content-Type is " + type + ": set format, if that is what is wanted");
}

// The whole answer, strictly, before anything of it is taken.
Task<Result<void>> Poller::check(const PollAnswer& answer, polling::Form form) {
  Result<void> sound;
  if (form != polling::Form::json) co_return sound;
  co_await services_.workers.run([&] {
    core::JsonElements elements(split_settings(rules_, form, answer.body.size()));
    elements.feed(answer.body);
    elements.finish();
    auto next = elements.next();
    while (next && *next) next = elements.next();
    if (!next) sound = core::Failure(next.error());
  });
  co_return sound;
}

Task<Poller::Polled> Poller::take_elements(Window& window, const PollAnswer& answer,
                                           polling::Form form) {
  if (auto sound = co_await check(answer, form); !sound) {
    co_return Polled{Outcome::bad_answer, sound.error().detail, {}};
  }
  const auto flight = std::make_shared<Flight>();
  flight->changed = services_.runtime.make_signal();
  flight->set_aside = &window.place.set_aside;
  Result<void> cursor;
  const bool raw = form == polling::Form::raw;
  const std::string type = raw ? field(answer.fields, "content-type") : "application/json";
  core::JsonElements elements(split_settings(rules_, form, answer.body.size()));
  elements.feed(answer.body);
  elements.finish();
  for (bool more = !raw || !answer.body.empty(); more && !flight->error && !closing_;) {
    Element element{.bytes = answer.body, .bad = {}, .is_json = !raw, .content_type = type};
    more = !raw;
    if (!raw) {
      auto next = elements.next();
      if (!next || !*next) break;
      element.bytes = (*next)->bytes;
      element.bad = std::move((*next)->bad);
    }
    if (!element.bad && !raw && cursor) cursor = window.tracker.element(element.bytes);
    while (flight->running >= kDepositsAtOnce) {
      co_await flight->changed->wait(core::SteadyTime::max());
    }
    const auto ticket = std::make_shared<Ticket>();
    ++flight->running;
    services_.runtime.spawn(take(flight, std::move(element), ticket));
    while (!ticket->identified) co_await flight->changed->wait(core::SteadyTime::max());
  }
  while (flight->running > 0) co_await flight->changed->wait(core::SteadyTime::max());
  if (flight->error) co_return Polled{Outcome::not_kept, flight->error->detail, {}};
  if (closing_) co_return Polled{Outcome::not_kept, "this node stops", {}};
  if (!cursor) co_return Polled{Outcome::bad_answer, cursor.error().detail, {}};
  co_return Polled{};
}

Task<> Poller::take(std::shared_ptr<Flight> flight, Element element,
                    std::shared_ptr<Ticket> ticket) {
  core::Sha256 digest;
  constexpr std::size_t kHashHereMax = 16 * core::KiB;
  if (element.bytes.size() <= kHashHereMax) {
    digest = core::sha256(element.bytes);
  } else {
    co_await services_.workers.run([&] { digest = core::sha256(element.bytes); });
  }
  Result<polling::PolledRecord> record =
      element.bad
          ? Result<polling::PolledRecord>(core::Failure(*element.bad))
          : record_of(rules_.element, element.bytes, digest, element.is_json, element.content_type);
  if (record) {
    const auto identified = [ticket, flight] {
      ticket->identified = true;
      flight->changed->notify_all();
    };
    auto kept = co_await hand_in(*std::move(record), element.bytes, digest, identified);
    if (!kept && kept.error().retry == Retry::never) {
      record = core::Failure(kept.error());
    } else if (!kept && !flight->error) {
      flight->error = kept.error();
    }
  }
  if (!record) co_await set_aside(flight, std::move(element), digest, record.error().detail);
  ticket->identified = true;
  --flight->running;
  flight->changed->notify_all();
}

// Errors that another try cannot mend have Retry::never.
Task<Result<void>> Poller::hand_in(polling::PolledRecord record, core::Bytes bytes,
                                   core::Sha256 digest, std::function<void()> identified) {
  const auto deposit_as = [&](core::IdempotencyKey key) {
    Deposit deposit{.envelope = record.envelope,
                    .key = key,
                    .expected = digest,
                    .payload = bytes,
                    .peer = "poller:" + rules_.name,
                    .on_identified = identified};
    deposit.envelope.idempotency_key = key.key;
    return services_.depositor.deposit(std::move(deposit));
  };
  auto deposited = co_await deposit_as(record.key);
  const bool changed = !deposited && deposited.error().code == Code::conflict;
  // It came before with the same id and other bytes: both are kept.
  if (changed) deposited = co_await deposit_as(polling::key_of_change(record.key, digest));
  if (deposited) {
    count(!deposited->first ? "known" : changed ? "changed" : "new");
    co_return Result<void>{};
  }
  core::Error error = deposited.error();
  const bool of_element = error.code == Code::too_large || error.code == Code::invalid_argument ||
                          error.code == Code::unsupported;
  error.retry = of_element ? Retry::never : Retry::safe;
  co_return core::Failure(std::move(error));
}

Task<> Poller::set_aside(std::shared_ptr<Flight> flight, Element element, core::Sha256 digest,
                         std::string reason) {
  constexpr std::size_t kDigestText = 32;
  const std::string text = digest.hex().substr(0, kDigestText);
  if (std::ranges::find(*flight->set_aside, text) != flight->set_aside->end()) co_return;
  polling::ElementRules plain = rules_.element;
  plain.id.reset();
  plain.paths.clear();
  auto record = record_of(plain, element.bytes, digest, false, element.content_type);
  if (!record) co_return;  // without id and paths there is nothing to be unfit
  spdlog::warn("poller {}: an element was set aside: {}", rules_.name, reason);
  record->envelope.context["reason"] = std::move(reason);
  const auto kept = co_await services_.set_aside(std::move(record->envelope), element.bytes);
  if (!kept) {
    if (!flight->error) flight->error = kept.error();
    co_return;
  }
  flight->set_aside->push_back(text);
  count("set_aside");
}

Task<std::optional<Poller::Polled>> Poller::end_page(Window& window, const PollAnswer& answer,
                                                     polling::Form form) {
  const core::Bytes document =
      form == polling::Form::json ? core::Bytes(answer.body) : core::Bytes();
  polling::PollPlace& place = window.place;
  const std::string cursor_before = place.cursor;
  if (auto page = window.tracker.page(document, answer.fields.find("date")); !page) {
    co_return Polled{Outcome::bad_answer, page.error().detail, {}};
  }
  auto next =
      polling::next_target(rules_.next, rules_.origin, window.target, answer.fields, document);
  if (!next) co_return Polled{Outcome::bad_answer, next.error().detail, {}};
  ++window.pages;
  place.next = *next;
  place.candidate = next->empty() ? std::string() : window.tracker.candidate();
  if (next->empty()) {
    if (!window.tracker.candidate().empty()) place.cursor = window.tracker.candidate();
    place.completed_at = window.began;
    const bool whole = window.pages == 1 && !window.resumed && rules_.conditional;
    place.validated = whole ? window.target : std::string();
    place.etag = whole ? field(answer.fields, "etag") : std::string();
    place.last_modified = whole ? field(answer.fields, "last-modified") : std::string();
  }
  auto saved = co_await save(window);
  if (!is_good(saved.outcome)) co_return saved;
  if (!next->empty()) {
    window.target = *std::move(next);
    co_return std::nullopt;
  }
  if (rules_.next.from != polling::NextFrom::cursor || place.cursor == cursor_before) {
    co_return Polled{};
  }
  auto target = first_target(place);
  if (!target) co_return Polled{Outcome::bad_answer, target.error().detail, {}};
  if (*target == window.target) co_return Polled{};
  window.target = *std::move(target);
  window.tracker = {rules_.cursor, {}};
  window.began = services_.runtime.now();
  window.pages = 0;
  co_return std::nullopt;
}

// The one step that passes over what was fetched.
Task<Poller::Polled> Poller::save(Window& window) {
  polling::PollPlace other = window.place;
  other.completed_at = place_.completed_at;
  const bool only_the_time = other == place_ && window.fence == fence_;
  if (!only_the_time || services_.runtime.now() >= saved_ + kSaveTimesEvery) {
    auto saved = co_await services_.places.save(rules_.name, window.fence, to_json(window.place),
                                                services_.runtime.steady_now() + kSaveTimeout);
    if (!saved) {
      claim_now_ = true;
      changed_->notify_all();
      co_return Polled{Outcome::no_place, saved.error().detail, {}};
    }
    saved_ = services_.runtime.now();
  }
  if (window.fence == fence_) place_ = window.place;
  co_return Polled{};
}

}  // namespace daybook::api
