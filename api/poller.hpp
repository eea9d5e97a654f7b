// Poller: fetches one source again and again, and hands every element of its answers in as a
// record.
//
//   claim the lease -> fetch a page -> check all of it -> deposit each element -> the page's place
//   is saved -> the next page, or the interval's end
//
// - The place moves only when every element before it is acknowledged or set aside. Whatever breaks
//   in between, the page comes again, and what was kept of it is known by its key.
// - An element that can never be a record is set aside with its reason and holds up no other.
// - Of several nodes one polls: the one that has the lease. A node that lost it cannot save.
// - A source that fails is asked ever more rarely. What is wrong is in status(), in the metrics,
// and
//   in the log once.
// I/O thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include <boost/json/object.hpp>

#include "api/depositor.hpp"
#include "api/metrics.hpp"
#include "core/http/message.hpp"
#include "core/json_elements.hpp"
#include "core/polling/cursor.hpp"
#include "core/polling/element.hpp"
#include "core/polling/place.hpp"
#include "core/polling/rules.hpp"
#include "core/ports/place_store.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"

namespace daybook::api {

struct PollRequest {
  std::string target;
  std::string etag, last_modified;  // of the last answer; empty: ask for it whatever it is
};

struct PollAnswer {
  int status = 0;
  core::http::Fields fields;
  core::ByteVector body;
};

class Poller {
 public:
  struct Services {
    core::Runtime& runtime;
    core::Workers& workers;
    core::PlaceStore& places;
    Depositor& depositor;
    Metrics& metrics;
    std::function<core::Task<core::Result<PollAnswer>>(PollRequest)> fetch;
    // Keeps an element that cannot be a record; context["reason"] says why.
    std::function<core::Task<core::Result<void>>(core::Envelope, core::Bytes)> set_aside;
  };
  // lease: a node that is silent for this long has lost it.
  Poller(Services services, core::polling::PollRules rules, core::PlaceHolder holder,
         core::Duration lease, std::uint64_t seed);

  // Until close(); what is under way is finished.
  core::Task<> run();
  void close();
  // The place is another from now on; an empty cursor: from the start.
  core::Task<core::Result<void>> reset(std::string cursor);

  [[nodiscard]] const std::string& name() const { return rules_.name; }
  [[nodiscard]] boost::json::object status() const;
  void refresh_metrics();

 private:
  enum class Outcome : std::uint8_t {
    ok,
    unchanged,
    unreachable,
    timeout,
    failed,
    throttled,
    refused,
    bad_answer,
    too_large,
    not_kept,
    no_place
  };
  static std::string_view word(Outcome outcome);
  static bool is_good(Outcome outcome) { return outcome <= Outcome::unchanged; }

  struct Polled {
    Outcome outcome = Outcome::ok;
    std::string detail;
    std::optional<core::Duration> retry_after;
  };
  // A window on the source, page by page.
  struct Window {
    core::polling::PollPlace place;
    std::uint64_t fence = 0;
    std::string target;
    core::polling::CursorTracker tracker;
    core::WallTime began;
    std::set<std::string> seen;  // targets of this poll
    std::size_t pages = 0;       // done, of this window
    bool resumed = false;
  };
  // The elements of a page that are under way.
  struct Flight {
    std::size_t running = 0;
    std::optional<core::Error> error;  // the first that another try may mend
    std::unique_ptr<core::Signal> changed;
    std::deque<std::string>* set_aside = nullptr;
  };
  struct Element {
    core::Bytes bytes;
    std::optional<core::Error> bad;
    bool is_json = true;
    std::string content_type;
  };
  struct Ticket;

  core::Task<> keep_lease();
  core::Task<> claim();
  void adopt(core::PlaceClaim claim);
  core::Task<Polled> poll();
  core::Task<std::optional<Polled>> poll_page(Window& window);
  core::Result<std::string> first_target(const core::polling::PollPlace& place) const;
  core::Task<> drop_window(Window& window);
  // What an answer without elements means.
  Polled judge(const PollAnswer& answer, bool conditional);
  core::Result<core::polling::Form> form_of(const PollAnswer& answer) const;
  core::Task<core::Result<void>> check(const PollAnswer& answer, core::polling::Form form);
  core::Task<Polled> take_elements(Window& window, const PollAnswer& answer,
                                   core::polling::Form form);
  core::Task<> take(std::shared_ptr<Flight> flight, Element element,
                    std::shared_ptr<Ticket> ticket);
  core::Task<core::Result<void>> hand_in(core::polling::PolledRecord record, core::Bytes bytes,
                                         core::Sha256 digest, std::function<void()> identified);
  core::Task<> set_aside(std::shared_ptr<Flight> flight, Element element, core::Sha256 digest,
                         std::string reason);
  core::Task<std::optional<Polled>> end_page(Window& window, const PollAnswer& answer,
                                             core::polling::Form form);
  core::Task<Polled> save(Window& window);
  void settle(const Polled& polled);
  void count(std::string_view outcome);
  double random();

  Services services_;
  const core::polling::PollRules rules_;
  const core::PlaceHolder holder_;
  const core::Duration lease_;
  std::mt19937_64 random_;
  std::unique_ptr<core::Signal> changed_;
  bool closing_ = false;
  bool lease_loop_runs_ = false;
  bool claim_now_ = false;

  bool granted_ = false;
  std::uint64_t fence_ = 0;
  std::string other_holder_;
  std::string other_report_;
  core::SteadyTime claimed_{};
  core::polling::PollPlace place_;
  core::Result<void> place_sound_;
  core::WallTime saved_{};
  core::WallTime first_granted_{};

  core::SteadyTime due_{};
  bool polling_ = false;
  std::uint32_t failures_ = 0;
  std::optional<Polled> last_;
  std::optional<core::WallTime> last_poll_at_;
  std::uint64_t records_ = 0;  // new ones, since the start
};

}  // namespace daybook::api
