#include "bench/load_run.hpp"

#include <charconv>
#include <cstdio>
#include <limits>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace daybook::bench {
namespace {

using core::Result;

// After a failure a connection waits, so that a server that refuses is not asked in a tight loop.
constexpr auto kPauseAfterError = std::chrono::milliseconds(100);
constexpr auto kProgressInterval = std::chrono::milliseconds(250);
constexpr auto kPollInterval = std::chrono::milliseconds(50);
constexpr std::size_t kErrorTextMax = 300;  // of a stranger's error page
constexpr auto kDrainMax = std::chrono::minutes(10);

double seconds_between(core::SteadyTime from, core::SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string member_text(const boost::json::value& document, std::string_view name) {
  if (!document.is_object()) return {};
  const auto* member = document.get_object().if_contains({name.data(), name.size()});
  if (member == nullptr || !member->is_string()) return {};
  return {member->get_string().begin(), member->get_string().end()};
}

std::uint64_t member_number(const boost::json::value& document, std::string_view name) {
  if (!document.is_object()) return 0;
  const auto* member = document.get_object().if_contains({name.data(), name.size()});
  if (member == nullptr || !member->is_int64()) return 0;
  return static_cast<std::uint64_t>(member->get_int64());
}

boost::json::value parse(core::Bytes body) {
  const std::string_view text = core::as_text(body);
  boost::json::error_code error;
  auto document = boost::json::parse({text.data(), text.size()}, error);
  return error ? boost::json::value() : document;
}

// The sum of all samples of a metric in the text format; nothing where the page has none.
std::optional<double> metric(std::string_view page, std::string_view name) {
  std::optional<double> sum;
  while (!page.empty()) {
    const std::size_t end = std::min(page.find('\n'), page.size() - 1);
    const std::string_view line = page.substr(0, end);
    page.remove_prefix(end + 1);
    if (!line.starts_with(name) || line.size() == name.size()) continue;
    if (line[name.size()] != ' ' && line[name.size()] != '{') continue;
    const std::string_view number = line.substr(line.rfind(' ') + 1);
    double value = 0;
    std::from_chars(number.data(), number.data() + number.size(), value);
    sum = sum.value_or(0) + value;
  }
  return sum;
}

}  // namespace

std::uint64_t LoadReport::error_count() const {
  std::uint64_t total = 0;
  for (const auto& [cause, count] : errors) total += count;
  return total;
}

LoadRun::LoadRun(io::IoRuntime& runtime, const PayloadSource& payloads, LoadOptions options)
    : runtime_(runtime),
      payloads_(payloads),
      options_(std::move(options)),
      client_(runtime, options_.client),
      changed_(runtime.make_signal()) {}

bool LoadRun::finished(std::uint64_t number) const {
  if (stopped_ || (options_.records > 0 && number >= options_.records)) return true;
  return options_.duration.count() > 0 && due_time(number) >= began_ + options_.duration;
}

core::SteadyTime LoadRun::due_time(std::uint64_t number) const {
  if (options_.rate == 0) return runtime_.steady_now();
  const std::chrono::duration<double> offset(static_cast<double>(number) / options_.rate);
  return began_ + std::chrono::duration_cast<core::Duration>(offset);
}

void LoadRun::count_error(const std::string& cause, const std::string& detail) {
  ++report_.errors[cause];
  if (report_.first_error.empty()) report_.first_error = cause + ": " + detail;
}

core::Task<> LoadRun::run() {
  Figures before;
  if (options_.end_to_end) {
    auto figures = co_await read_figures();
    if (!figures) {
      count_error("no metrics", figures.error().detail);
      co_return;
    }
    before = *figures;
  }
  began_ = runtime_.steady_now();
  lanes_ = options_.connections;
  for (std::size_t started = 0; started < options_.connections; ++started) runtime_.spawn(lane());
  if (options_.progress) {
    drawing_ = true;
    runtime_.spawn(show_progress());
  }
  while (lanes_ > 0) co_await changed_->wait(core::SteadyTime::max());
  report_.seconds = seconds_between(began_, runtime_.steady_now());
  if (options_.end_to_end) co_await wait_for_pipeline(before);
  while (drawing_) co_await changed_->wait(core::SteadyTime::max());
}

core::Task<> LoadRun::lane() {
  while (!finished(next_)) {
    const std::uint64_t number = next_++;
    const core::SteadyTime due = due_time(number);
    co_await runtime_.sleep_until(due);  // closed loop: at once
    if (stopped_) break;
    const std::uint64_t errors = report_.error_count();
    co_await send_one(number, due);
    if (report_.error_count() != errors && options_.rate == 0) {
      co_await runtime_.sleep(kPauseAfterError);
    }
  }
  --lanes_;
  changed_->notify_all();
}

core::Task<> LoadRun::send_one(std::uint64_t number, core::SteadyTime due) {
  const core::Deadline deadline = due + options_.timeout;
  if (runtime_.steady_now() >= deadline) {
    count_error("timeout", "no connection was free within the timeout of one record");
    co_return;
  }
  const Payload& payload = payloads_.at(number);
  auto response = co_await client_.send(make_request(payload, number), deadline);
  const core::SteadyTime answered = runtime_.steady_now();
  if (!response) {
    count_error(std::string(core::to_string(response.error().code)), response.error().detail);
    co_return;
  }
  if (!accept(*response, payload)) co_return;
  report_.ack.record(answered - due);
  ++report_.records;
  report_.bytes += payload.bytes.size();
}

io::HttpRequest LoadRun::make_request(const Payload& payload, std::uint64_t number) const {
  io::HttpRequest request;
  request.fields.add("Content-Type", payload.content_type);
  request.body = {payload.bytes};
  if (options_.raw) {
    request.method = options_.raw->method;
    request.target =
        options_.base_path + options_.raw->targets[number % options_.raw->targets.size()];
    return request;
  }
  request.method = "POST";
  request.target = options_.base_path + "/v1/records";
  request.fields.add("Content-Digest", payload.content_digest);
  request.fields.add("ce-source", "/bench/bulk_load");
  request.fields.add("ce-type", "bench.audit");
  if (options_.idempotency_keys) {
    request.fields.add("Idempotency-Key", fmt::format("{}-{}", options_.run_name, number));
  }
  return request;
}

bool LoadRun::accept(const io::HttpResponse& response, const Payload& payload) {
  if (options_.raw) {
    if (response.head.status / 100 == 2) return true;
    count_error(fmt::format("{}", response.head.status),
                std::string(core::as_text(response.body).substr(0, kErrorTextMax)));
    return false;
  }
  const boost::json::value answer = parse(response.body);
  if (response.head.status != 201) {
    count_error(fmt::format("{} {}", response.head.status, member_text(answer, "code")),
                member_text(answer, "detail"));
    return false;
  }
  if (member_text(answer, "sha256") != payload.sha256_hex ||
      member_number(answer, "size") != payload.bytes.size()) {
    count_error("wrong receipt", std::string(core::as_text(response.body)));
    return false;
  }
  return true;
}

core::Task<> LoadRun::show_progress() {
  std::uint64_t last_bytes = 0;
  core::SteadyTime last = began_;
  while (lanes_ > 0) {
    co_await changed_->wait(runtime_.steady_now() + kProgressInterval);
    const core::SteadyTime now = runtime_.steady_now();
    if (lanes_ == 0 || now - last < kProgressInterval) continue;
    const double speed =
        static_cast<double>(report_.bytes - last_bytes) / 1e6 / seconds_between(last, now);
    const std::string line = fmt::format(
        "\r\x1b[K{:6.1f} s  {} records  {:.2f} GB  {:.0f} MB/s  p50 {:.1f} ms  p99 {:.1f} ms  "
        "{} errors",
        seconds_between(began_, now), report_.records, static_cast<double>(report_.bytes) / 1e9,
        speed, report_.ack.milliseconds_at(0.50), report_.ack.milliseconds_at(0.99),
        report_.error_count());
    std::fputs(line.c_str(), stderr);
    last_bytes = report_.bytes;
    last = now;
  }
  std::fputs("\r\x1b[K", stderr);
  drawing_ = false;
  changed_->notify_all();
}

core::Task<Result<LoadRun::Figures>> LoadRun::read_figures() {
  io::HttpRequest request;
  request.target = options_.base_path + "/metrics";
  auto response =
      co_await client_.send(std::move(request), runtime_.steady_now() + options_.timeout);
  if (!response) co_return pass(std::move(response));
  if (response->head.status != 200) {
    co_return core::fail(core::Code::unavailable, core::Origin::self, core::Retry::safe,
                         fmt::format("/metrics answered {}", response->head.status));
  }
  const std::string_view page = core::as_text(response->body);
  const auto accepted = metric(page, "daybook_records_accepted_total");
  const auto pending = metric(page, "daybook_records_pending");
  const auto parked = metric(page, "daybook_records_parked");
  if (!accepted || !pending || !parked) {
    co_return core::fail(core::Code::unavailable, core::Origin::self, core::Retry::safe,
                         "/metrics does not tell the records accepted, pending and parked");
  }
  co_return Figures{.accepted = *accepted, .pending = *pending, .parked = *parked};
}

core::Task<> LoadRun::wait_for_pipeline(Figures before) {
  EndToEnd result;
  const core::SteadyTime last_ack = runtime_.steady_now();
  const double wanted = before.accepted + static_cast<double>(report_.records);
  while (!result.complete && !stopped_ && runtime_.steady_now() < last_ack + kDrainMax) {
    const auto figures = co_await read_figures();
    if (figures && figures->accepted >= wanted) {
      result.complete = figures->pending == 0;
      result.parked = static_cast<std::uint64_t>(std::max(0.0, figures->parked - before.parked));
    }
    if (!result.complete) co_await runtime_.sleep(kPollInterval);
  }
  result.seconds = seconds_between(began_, runtime_.steady_now());
  result.drain_seconds = seconds_between(last_ack, runtime_.steady_now());
  report_.end_to_end = result;
}

}  // namespace daybook::bench
