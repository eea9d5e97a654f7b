#include "api/sim.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "api/cli_client.hpp"
#include "api/cli_output.hpp"
#include "api/problem.hpp"
#include "api/sim_messages.hpp"
#include "api/sim_tally.hpp"
#include "core/limits.hpp"
#include "core/polling/paging.hpp"
#include "core/record_id.hpp"
#include "core/text.hpp"
#include "io/http_server.hpp"
#include "io/runtime.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::Task;

constexpr core::Duration kPatience = std::chrono::milliseconds(500);  // while the partner is away
constexpr core::Duration kRequestTimeout = std::chrono::seconds(30);
constexpr std::size_t kBodyBytesMax = 64 * core::MiB;

std::string_view name_of(SimKind kind) {
  switch (kind) {
    case SimKind::source_endpoint:
      return "source-endpoint";
    case SimKind::source_process:
      return "source-process";
    case SimKind::target_endpoint:
      return "target-endpoint";
    case SimKind::target_process:
      return "target-process";
  }
  return "";
}

// Why there is no good answer.
Result<boost::json::value> refusal(const Result<io::HttpResponse>& answer) {
  return core::Failure(answer ? refusal_error(*answer) : answer.error());
}

std::string seconds_text(core::WallTime time) {
  return fmt::format("{:.3f}", std::chrono::duration<double>(time.time_since_epoch()).count());
}

io::HttpServerSettings server_settings() {
  io::HttpServerSettings settings;
  settings.header_timeout = settings.body_idle_timeout = settings.write_timeout = kRequestTimeout;
  settings.idle_timeout = settings.body_timeout = 4 * kRequestTimeout;
  return settings;
}

// One partner. Members outlive the runtime's tasks: run() returns when all of them have ended.
class Partner {
 public:
  explicit Partner(const SimOptions& options)
      : options_(options),
        stopped_(runtime_.make_signal()),
        http_(
            runtime_, server_settings(),
            [this](io::HttpExchange& exchange) { return answer(exchange); },
            [](int status, const std::string& detail) {
              return problem(status, "bad_request", detail);
            }) {}

  Result<void> open();
  int run();

 private:
  [[nodiscard]] bool is_process() const {
    return options_.kind == SimKind::source_process || options_.kind == SimKind::target_process;
  }
  [[nodiscard]] bool is_source() const {
    return options_.kind == SimKind::source_process || options_.kind == SimKind::source_endpoint;
  }
  Task<> stop();
  Task<> pause(core::Duration duration);
  Task<Result<io::HttpResponse>> ask(std::string method, std::string target, std::string body,
                                     std::string key);
  Task<> post_batches();
  Task<bool> post_batch(std::uint64_t first, std::uint64_t last);
  Task<> pull_pages();
  [[nodiscard]] std::string place_by_time(const std::string& timestamp) const;
  [[nodiscard]] std::optional<std::string> linked(const io::HttpResponse& page,
                                                  const std::string& place,
                                                  std::string_view relation) const;
  Task<> answer(io::HttpExchange& exchange);
  Task<Result<std::string>> read_body(io::HttpExchange& exchange);
  io::HttpAnswer offer(const std::string& query);
  void note(const boost::json::value& document);
  [[nodiscard]] boost::json::object report() const;

  const SimOptions& options_;
  io::IoRuntime runtime_;
  const core::SteadyTime began_ = runtime_.steady_now();
  const core::WallTime began_at_ = runtime_.now();
  std::unique_ptr<core::Signal> stopped_;
  io::HttpServer http_;
  std::unique_ptr<io::HttpClient> client_;
  std::string origin_;
  std::string target_;
  bool serves_ = false;
  bool stopping_ = false;
  std::uint64_t sent_ = 0;
  SimTally tally_;
};

Result<void> Partner::open() {
  if (is_process()) {
    auto url = io::parse_full_url(options_.endpoint);
    if (!url) return pass(std::move(url));
    origin_ = url->origin();
    target_ = url->target;
    client_ = std::make_unique<io::HttpClient>(runtime_, client_settings(url->server));
    if (options_.port == 0) return {};
  }
  serves_ = true;
  return http_.listen({.host = "127.0.0.1", .port = options_.port, .unix_path = {}});
}

int Partner::run() {
  if (serves_) {
    spdlog::info("{} listens on http://{}", name_of(options_.kind), http_.local().str());
  }
  runtime_.on_terminate([this] { runtime_.spawn(stop()); });
  if (options_.kind == SimKind::source_process) runtime_.spawn(post_batches());
  if (options_.kind == SimKind::target_process) runtime_.spawn(pull_pages());
  runtime_.run();
  std::printf("%s\n", boost::json::serialize(report()).c_str());
  return kExitOk;
}

Task<> Partner::stop() {
  stopping_ = true;
  stopped_->notify_all();
  http_.close();
  co_await http_.drained(runtime_.steady_now() + kPatience);
  if (client_) client_->close_idle();
}

Task<> Partner::pause(core::Duration duration) {
  if (!stopping_) co_await stopped_->wait(runtime_.steady_now() + duration);
}

Task<Result<io::HttpResponse>> Partner::ask(std::string method, std::string target,
                                            std::string body, std::string key) {
  io::HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  if (!body.empty()) {
    request.fields.add("Content-Type", "application/json");
    request.fields.add("Idempotency-Key", std::move(key));
    if (!options_.source.empty()) request.fields.add("ce-source", options_.source);
    request.body = {core::as_bytes(body)};
  }
  co_return co_await client_->send(std::move(request), runtime_.steady_now() + kRequestTimeout);
}

// --- source process: pushes ---

Task<> Partner::post_batches() {
  while (!stopping_ && (options_.count == 0 || sent_ < options_.count)) {
    const std::uint64_t last = sent_ + options_.batch_size;
    if (!co_await post_batch(sent_ + 1,
                             options_.count == 0 ? last : std::min(last, options_.count))) {
      continue;
    }
    co_await pause(options_.frequency);
  }
  if (!stopping_) co_await stop();
}

// The same batch under the same key until it is taken, so that none is lost and none stored twice.
Task<bool> Partner::post_batch(std::uint64_t first, std::uint64_t last) {
  static const std::string kRun = core::RecordIdGenerator().next(runtime_.now(), 0).str();
  const std::string body =
      sim_batch(first, last, [now = runtime_.now()](std::uint64_t) { return now; });
  const std::string key = kRun + "-" + std::to_string(first);
  while (!stopping_) {
    const auto taken = co_await ask(options_.method, target_, body, key);
    const int status = taken ? taken->head.status : 0;
    if (status / 100 == 2 && status != 207) {  // 207: some were refused
      sent_ = last;
      spdlog::debug("messages {} to {} are taken", first, last);
      co_return true;
    }
    spdlog::warn(
        "messages {} to {}: {}", first, last,
        status == 207 ? std::string(core::as_text(taken->body)) : refusal(taken).error().detail);
    co_await pause(kPatience);
  }
  co_return false;
}

// --- target process: pulls ---

// Where the Link field says (rel=next, and rel=monitor behind all that there is); else by time, as
// the original's readers do it. A place that is gone or another's (409, 410) is left: what is still
// there is asked for anew, and what comes twice is counted.
Task<> Partner::pull_pages() {
  std::string place = place_by_time("0");
  while (!stopping_) {
    const std::string asked_at = seconds_text(runtime_.now());
    const auto page = co_await ask(options_.method, place, "", "");
    const int status = page ? page->head.status : 0;
    const Result<boost::json::value> document =
        status / 100 == 2 ? parse_json(page->body) : refusal(page);
    if (!document) {
      spdlog::warn("{}: {}", place, document.error().detail);
      if (status == 409 || status == 410) {
        place = place_by_time("0");
        spdlog::warn("begins again, by time: {}", place);
      }
      co_await pause(kPatience);
      continue;
    }
    note(*document);
    const auto next = linked(*page, place, "next");
    const auto later = next ? next : linked(*page, place, "monitor");
    place = later ? *later : place_by_time(asked_at);
    if (!next) co_await pause(options_.frequency);
  }
}

std::string Partner::place_by_time(const std::string& timestamp) const {
  std::string place = core::polling::with_parameter(target_, "timestamp", timestamp);
  if (options_.source.empty()) return place;
  return core::polling::with_parameter(place, "source", options_.source);
}

std::optional<std::string> Partner::linked(const io::HttpResponse& page, const std::string& place,
                                           std::string_view relation) const {
  const auto reference = core::polling::find_link(page.head.fields, relation);
  if (!reference) return std::nullopt;
  auto target = core::polling::resolve_target(origin_, place, *reference);
  if (!target) {
    spdlog::warn("{}", target.error().detail);
    return std::nullopt;
  }
  return *target;
}

void Partner::note(const boost::json::value& document) {
  find_messages(document, [this](std::uint64_t id) { tally_.note(id); });
  spdlog::debug("{} messages so far, {} missing", tally_.distinct(), tally_.missing());
}

// --- the HTTP side ---

Task<Result<std::string>> Partner::read_body(io::HttpExchange& exchange) {
  std::string body;
  std::vector<std::byte> piece(64 * core::KiB);
  for (;;) {
    const auto bytes = co_await exchange.read_body(piece);
    if (!bytes) co_return pass(bytes);
    if (*bytes == 0) co_return body;
    body += core::as_text(core::Bytes(piece).first(*bytes));
    if (body.size() > kBodyBytesMax) {
      co_return core::fail(core::Code::too_large, core::Origin::client, core::Retry::never,
                           "The body is larger than " + core::format_size(kBodyBytesMax) + ".");
    }
  }
}

// The messages that have come into being: a batch at once and one more every `frequency`.
io::HttpAnswer Partner::offer(const std::string& query) {
  const std::string text = core::http::query_parameter(query, "after").value_or("0");
  std::uint64_t after = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), after);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return problem(400, "invalid_argument", "after must be the id of a message.");
  }
  const auto batches =
      static_cast<std::uint64_t>((runtime_.steady_now() - began_) / options_.frequency) + 1;
  std::uint64_t made = batches * options_.batch_size;
  if (options_.count != 0) made = std::min(made, options_.count);
  const std::uint64_t last = std::min(made, after + options_.batch_size);
  sent_ = std::max(sent_, last);
  const auto time_of = [this](std::uint64_t id) {
    const core::Duration age = options_.frequency * ((id - 1) / options_.batch_size);
    return began_at_ + std::chrono::duration_cast<std::chrono::microseconds>(age);
  };
  return json_answer(200, sim_batch(after + 1, last, time_of) + "\n");
}

Task<> Partner::answer(io::HttpExchange& exchange) {
  const std::string path = exchange.head().path;
  auto body = co_await read_body(exchange);
  io::HttpAnswer answer;
  answer.fields.add("Content-Type", "text/plain; charset=utf-8");
  answer.body = "OK\n";
  if (!body) {
    answer = problem(body.error());
  } else if (path == "/report") {
    boost::json::object figures = report();
    if (!is_source()) figures["order"] = boost::json::value_from(tally_.order());
    answer = json_answer(200, boost::json::serialize(figures) + "\n");
  } else if (exchange.head().method == "GET" && path != "/" &&
             options_.kind == SimKind::source_endpoint) {
    answer = offer(exchange.head().query);
  } else if (exchange.head().method != "GET" && options_.kind == SimKind::target_endpoint) {
    if (const auto document = parse_json(core::as_bytes(*body))) {
      note(*document);
    } else {
      answer = problem(400, "invalid_argument", "The body is not JSON.");
    }
  } else if (path != "/") {
    answer = problem(404, "not_found", "There is nothing at this path.");
  }
  static_cast<void>(co_await exchange.respond(std::move(answer)));
}

boost::json::object Partner::report() const {
  if (!is_source()) return tally_.json();
  return {{"sent", sent_}, {"lowest", sent_ == 0 ? 0 : 1}, {"highest", sent_}};
}

}  // namespace

std::optional<core::Duration> parse_frequency(const std::string& text) {
  const bool bare =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  const auto frequency = core::parse_duration(bare ? text + "ms" : text);
  if (!frequency || frequency->count() <= 0) return std::nullopt;
  return *frequency;
}

std::optional<std::string> parse_log_level(const std::string& text) {
  struct Level {
    std::string_view name, ours;
  };
  constexpr std::array kLevels = {
      Level{"error", "error"},     Level{"err", "error"},         Level{"warn", "warning"},
      Level{"warning", "warning"}, Level{"info", "info"},         Level{"http", "info"},
      Level{"verbose", "debug"},   Level{"debug", "debug"},       Level{"silly", "trace"},
      Level{"trace", "trace"},     Level{"critical", "critical"}, Level{"off", "off"}};
  const auto level = std::ranges::find(kLevels, core::to_lower(text), &Level::name);
  if (level == kLevels.end()) return std::nullopt;
  return std::string(level->ours);
}

int run_sim(const SimOptions& options) {
  auto logger = spdlog::get("sim");
  if (!logger) logger = spdlog::stderr_color_mt("sim");
  spdlog::set_default_logger(logger);
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  if (auto usable = io::probe_backend(); !usable) {
    print_error("daybook sim: " + usable.error().detail + "\n");
    return kExitFailed;
  }
  Partner partner(options);
  if (auto opened = partner.open(); !opened) {
    print_error("daybook sim: " + opened.error().detail + "\n");
    return kExitFailed;
  }
  return partner.run();
}

}  // namespace daybook::api
