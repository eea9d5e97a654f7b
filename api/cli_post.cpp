#include "api/cli_post.hpp"

#include <algorithm>
#include <array>
#include <random>

#include <sys/random.h>
#include <unistd.h>

#include "api/cli_output.hpp"
#include "api/cli_post_message.hpp"
#include "api/cli_retry.hpp"
#include "api/local_file.hpp"
#include "api/progress_bar.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"
#include "io/runtime.hpp"

namespace daybook::api {
namespace {

using core::Bytes;
using core::Result;

// From here on the server is asked before the body is sent: larger than its default limit, so it
// may well refuse, and then nothing was sent in vain.
constexpr std::uint64_t kExpectContinueBytes = 8 * core::MiB + 1;

struct Totals {
  std::size_t stored = 0;    // 201
  std::size_t repeated = 0;  // 200: stored before under the same key
  std::size_t failed = 0;
  std::uint64_t bytes = 0;
  std::uint64_t stored_bytes = 0;
};

Result<LocalFile> read_item(const PostItem& item) {
  constexpr std::uint64_t kMax = core::limits::kBodyBytesCeiling;
  if (item.path != "-") return read_local_file(item.path, kMax);
  auto bytes = read_descriptor(STDIN_FILENO, "Standard input", kMax);
  if (!bytes) return pass(std::move(bytes));
  LocalFile file;
  file.bytes = *std::move(bytes);
  return file;
}

// All files of one run. It lives in post_all's frame, which outlives every worker.
class PostRun {
 public:
  PostRun(io::IoRuntime& runtime, const PostOptions& options, std::vector<PostItem> items,
          io::HttpClient::Settings settings)
      : runtime_(runtime),
        options_(options),
        items_(std::move(items)),
        sent_(items_.size()),
        client_(runtime, std::move(settings)),
        changed_(runtime.make_signal()),
        bar_(!options.json),
        started_(runtime.steady_now()) {
    progress_.files_total = items_.size();
    for (const PostItem& item : items_) progress_.bytes_total += item.size;
  }

  core::Task<Totals> run();

 private:
  core::Task<> work();
  core::Task<> post(std::size_t index);
  void note_sent(std::size_t index, std::uint64_t bytes);
  void accept(const PostItem& item, const io::HttpResponse& response, const core::Sha256& sha256,
              std::uint64_t size);
  void fail(const std::string& path, const std::string& why);
  void summarize();
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  }

  io::IoRuntime& runtime_;
  const PostOptions& options_;
  std::vector<PostItem> items_;
  std::vector<std::uint64_t> sent_;  // of each item's present attempt
  io::HttpClient client_;
  std::unique_ptr<core::Signal> changed_;
  ProgressBar bar_;
  Progress progress_;
  Totals totals_;
  std::minstd_rand jitter_{std::random_device{}()};
  std::size_t next_ = 0;
  std::size_t working_ = 0;
  const core::SteadyTime started_;
};

core::Task<Totals> PostRun::run() {
  working_ = std::min<std::size_t>(options_.concurrency, items_.size());
  for (std::size_t i = working_; i > 0; --i) runtime_.spawn(work());
  while (working_ > 0) {
    co_await changed_->wait(runtime_.steady_now() + std::chrono::milliseconds(100));
    progress_.seconds = seconds();
    bar_.draw(progress_);
  }
  bar_.clear();
  summarize();
  co_return totals_;
}

core::Task<> PostRun::work() {
  while (next_ < items_.size()) co_await post(next_++);
  --working_;
  changed_->notify_all();
}

core::Task<> PostRun::post(std::size_t index) {
  const PostItem item = items_[index];
  auto file = read_item(item);
  if (!file) {
    progress_.bytes_total -= item.size;
    fail(item.path, file.error().detail);
    co_return;
  }
  const core::Sha256 sha256 = core::sha256(Bytes(file->bytes));
  progress_.bytes_total +=
      file->bytes.size() - item.size;  // it may have changed since it was listed
  io::HttpRequest request;
  request.method = "POST";
  request.target = "/v1/records";
  request.fields =
      record_fields(options_, item.path, file->modified_at, sha256,
                    options_.idempotency_key.empty() ? random_key() : options_.idempotency_key);
  request.fields.add("User-Agent", "daybook/" DAYBOOK_VERSION);
  if (!file->bytes.empty()) request.body.push_back(file->bytes);
  request.expect_continue = file->bytes.size() >= kExpectContinueBytes;
  request.on_sent = [this, index](std::uint64_t bytes) { note_sent(index, bytes); };
  for (unsigned attempt = 0;; ++attempt) {
    auto response = co_await client_.send(request, runtime_.steady_now() + options_.server.timeout);
    if (response && response->head.status / 100 == 2) {
      accept(item, *response, sha256, file->bytes.size());
      co_return;
    }
    const std::string why = response ? describe_refusal(*response) : response.error().detail;
    const bool again =
        response ? is_worth_retrying(response->head.status) : is_worth_retrying(response.error());
    if (!again || attempt >= options_.retries) {
      fail(item.path, why + (again && attempt > 0
                                 ? " (gave up after " + std::to_string(attempt + 1) + " attempts)"
                                 : ""));
      co_return;
    }
    const double jitter = static_cast<double>(jitter_()) / std::minstd_rand::max();
    const auto wait =
        retry_wait(attempt, response ? retry_after(response->head.fields) : std::nullopt, jitter);
    bar_.clear();
    print_error("retry   " + printable(item.path) + ": " + why + " (again in " +
                human_seconds(std::chrono::duration<double>(wait).count()) + ", " +
                std::to_string(attempt + 1) + " of " + std::to_string(options_.retries) + ")\n");
    note_sent(index, 0);
    co_await runtime_.sleep(wait);
  }
}

void PostRun::note_sent(std::size_t index, std::uint64_t bytes) {
  progress_.bytes_done += bytes - sent_[index];  // unsigned, but the sum never falls below zero
  sent_[index] = bytes;
}

void PostRun::accept(const PostItem& item, const io::HttpResponse& response,
                     const core::Sha256& sha256, std::uint64_t size) {
  auto receipt = parse_json(response.body);
  const std::string why = receipt ? distrust(*receipt, sha256, size) : receipt.error().detail;
  if (!why.empty()) return fail(item.path, why);
  const std::uint64_t stored_size = count_of(*receipt, "stored_size");
  const bool first = response.head.status == 201;
  (first ? totals_.stored : totals_.repeated) += 1;
  totals_.bytes += size;
  totals_.stored_bytes += stored_size;
  ++progress_.files_done;
  bar_.clear();
  if (options_.json) {
    receipt->as_object()["file"] = item.path;
    print(boost::json::serialize(*receipt) + "\n");
    return;
  }
  const auto padded = [](std::string text, std::size_t width) {
    text.insert(0, width - std::min(width, text.size()), ' ');
    return text;
  };
  print(std::string(first ? "stored  " : "known   ") + printable(text_of(*receipt, "id")) +
        padded(human_bytes(size), 9) + " as" + padded(human_bytes(stored_size), 8) +
        padded(human_ratio(size, stored_size), 8) + "  " + printable(item.path) + "\n");
}

void PostRun::fail(const std::string& path, const std::string& why) {
  ++totals_.failed;
  ++progress_.files_done;
  bar_.clear();
  print_error("failed  " + printable(path) + ": " + why + "\n");
}

void PostRun::summarize() {
  if (options_.json || items_.size() < 2) return;
  const double took = std::max(seconds(), 1e-6);
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(totals_.bytes) / took);
  std::string text = std::to_string(totals_.stored + totals_.repeated) + " of " +
                     std::to_string(items_.size()) + " records stored, " +
                     human_bytes(totals_.bytes) + " in " + human_seconds(took) + " (" +
                     human_bytes(rate) + "/s), as " + human_bytes(totals_.stored_bytes) + " (" +
                     human_ratio(totals_.bytes, totals_.stored_bytes) + ")";
  if (totals_.repeated > 0) text += ", " + std::to_string(totals_.repeated) + " known before";
  if (totals_.failed > 0) text += ", " + std::to_string(totals_.failed) + " failed";
  print_error(text + "\n");
}

core::Task<Totals> post_all(io::IoRuntime& runtime, const PostOptions& options,
                            std::vector<PostItem> items, io::HttpClient::Settings settings) {
  PostRun run(runtime, options, std::move(items), std::move(settings));
  co_return co_await run.run();
}

}  // namespace

std::string random_key() {
  std::array<std::byte, 16> random{};
  std::size_t filled = 0;
  while (filled < random.size()) {
    const ssize_t got = ::getrandom(random.data() + filled, random.size() - filled, 0);
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
  random[6] = (random[6] & std::byte{0x0F}) | std::byte{0x40};
  random[8] = (random[8] & std::byte{0x3F}) | std::byte{0x80};
  std::string text = core::to_hex(random);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) text.insert(at, 1, '-');
  return text;
}

int run_post(const PostOptions& options) {
  if (const std::string wrong = check_post_options(options); !wrong.empty()) {
    print_error("daybook post: " + wrong + "\n");
    return kExitUsage;
  }
  auto settings = client_settings(options.server.url);
  if (!settings) {
    print_error("daybook post: " + settings.error().detail + "\n");
    return kExitUsage;
  }
  if (options.message) return post_messages(options);
  if (auto usable = io::probe_backend(); !usable) {
    print_error("daybook post: " + usable.error().detail + "\n");
    return kExitFailed;
  }
  std::vector<std::string> problems;
  std::vector<PostItem> items = list_items(options.paths, problems);
  if (!options.idempotency_key.empty() && items.size() > 1) {
    print_error("daybook post: --idempotency-key names one record, but there are " +
                std::to_string(items.size()) + " files.\n");
    return kExitUsage;
  }
  for (const std::string& problem : problems) print_error("failed  " + printable(problem) + "\n");
  if (items.empty()) return kExitFailed;
  settings->connections_max = options.concurrency;
  const Totals totals = io::run_to_completion<Totals>([&](io::IoRuntime& runtime) {
    return post_all(runtime, options, std::move(items), *settings);
  });
  return totals.failed == 0 && problems.empty() ? kExitOk : kExitFailed;
}

}  // namespace daybook::api
