#include "api/batch_door.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "api/problem.hpp"
#include "api/record_context.hpp"
#include "core/http/fields.hpp"
#include "core/http/multipart.hpp"
#include "core/json_batch.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

// Records of one batch on their way at a time: enough to share the buffer's fsyncs.
constexpr std::size_t kInFlightMax = 32;

// A body with a content coding: the largest window and what is read.
constexpr std::uint64_t kDecoderBytes = 10 * core::MiB;

core::Failure refuse(std::string detail, Code code = Code::invalid_argument) {
  return core::fail(code, Origin::client, Retry::never, std::move(detail));
}

// What holds the records, and what each is where it does not say so itself.
struct Form {
  std::unique_ptr<core::BatchReader> reader;
  std::string content_type;  // of an element; empty: its own
};

Result<Form> form_of(std::string_view content_type, std::size_t element_bytes_max) {
  const std::string type = core::http::media_type(content_type);
  if (type == "multipart/mixed") {
    const auto boundary = core::http::multipart_boundary(content_type);
    if (!boundary) return pass(boundary);
    return Form{std::make_unique<core::http::MultipartReader>(*boundary, element_bytes_max), ""};
  }
  for (const char* lines : {"application/x-ndjson", "application/ndjson", "application/jsonl"}) {
    if (type != lines) continue;
    return Form{
        std::make_unique<core::JsonBatchReader>(core::JsonElements::Form::lines, element_bytes_max),
        "application/json"};
  }
  if (type == "application/cloudevents-batch+json") {
    return Form{
        std::make_unique<core::JsonBatchReader>(core::JsonElements::Form::json, element_bytes_max),
        "application/cloudevents+json"};
  }
  if (type.empty() || type == "application/json") {
    return Form{
        std::make_unique<core::JsonBatchReader>(core::JsonElements::Form::json, element_bytes_max),
        "application/json"};
  }
  return refuse(
      "A batch is application/json (an array), application/x-ndjson or multipart/mixed, "
      "not " +
          type + ".",
      Code::unsupported);
}

// What a batch holds beside the records that Ingest has: what is read and no element yet, and those
// on their way.
std::uint64_t body_memory(const core::http::RequestHead& head, const core::Config& config) {
  std::uint64_t element = config.ingest_body_bytes_max;
  if (head.fields.find("Content-Encoding")) return 2 * element + kDecoderBytes;
  if (head.framing == core::http::Framing::length) element = std::min(element, head.content_length);
  return 2 * element + core::limits::kReadBytes;
}

json::object error_json(const core::Error& error) {
  return {{"code", core::to_string(error.code)}, {"detail", error.detail}};
}

}  // namespace

// Shared with the tasks of its elements.
struct BatchDoor::Batch {
  IngestHead shared;  // what the request's head says of every element
  std::string peer;
  Form form;
  std::uint64_t bytes_in_flight = 0;
  std::size_t in_flight = 0;
  bool identified = true;  // the newest element has its id, or was refused
  std::vector<Result<Deposited>> results;
  core::Sha256Hasher digest;  // of the body, where it is read whole
  std::unique_ptr<core::Signal> changed;
};

namespace {

json::object result_json(std::size_t index, const Result<Deposited>& result) {
  if (!result) {
    return {{"index", index},
            {"status", http_status(result.error())},
            {"error", error_json(result.error())}};
  }
  boost::system::error_code error;
  json::value receipt = json::parse(result->receipt, error);
  return {{"index", index}, {"status", result->first ? 201 : 200}, {"receipt", std::move(receipt)}};
}

// 201: all are stored, 200: all were before, 207: see each of them.
io::HttpAnswer answer_of(const std::vector<Result<Deposited>>& results, const Result<void>& whole) {
  std::size_t stored = 0;
  std::size_t repeated = 0;
  json::array each;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i]) ++(results[i]->first ? stored : repeated);
    each.push_back(result_json(i, results[i]));
  }
  const std::size_t failed = results.size() - stored - repeated;
  json::object answer = {{"records", results.size()},
                         {"stored", stored},
                         {"repeated", repeated},
                         {"failed", failed},
                         {"results", std::move(each)}};
  if (!whole) answer["error"] = error_json(whole.error());
  const int status = failed != 0 || !whole ? 207 : stored != 0 ? 201 : 200;
  return json_answer(status, json::serialize(answer) + "\n");
}

}  // namespace

std::uint64_t batch_memory_max(const core::Config& config) {
  const std::uint64_t largest = 2 * config.ingest_body_bytes_max + kDecoderBytes;
  return std::max(config.ingest_memory_max / 4, largest);
}

BatchDoor::BatchDoor(io::IoRuntime& runtime, core::Workers& workers, Ingest& ingest,
                     Metrics& metrics, const core::Config& config)
    : runtime_(runtime),
      workers_(workers),
      ingest_(ingest),
      metrics_(metrics),
      config_(config),
      memory_(runtime, batch_memory_max(config)) {}

Task<> BatchDoor::handle(io::HttpExchange& exchange, std::string route, std::string door) {
  auto answer = co_await accept(exchange, std::move(door));
  if (!answer) answer = problem(answer.error());
  metrics_.add(metrics_.http_requests,
               {{"route", std::move(route)}, {"status", std::to_string(answer->status)}});
  static_cast<void>(co_await exchange.respond(std::move(*answer)));
}

Result<std::shared_ptr<BatchDoor::Batch>> BatchDoor::begin(const io::HttpExchange& exchange,
                                                           std::string_view door) const {
  const core::http::RequestHead& head = exchange.head();
  if (head.framing == core::http::Framing::none) return refuse("The batch holds no record.");
  auto shared = read_ingest_fields(head.fields, config_);
  if (!shared) return pass(std::move(shared));
  if (!shared->envelope.event_id.empty()) {
    return refuse(
        "ce-id names one record, and this is a batch. Parts of multipart/mixed have theirs.");
  }
  auto context = record_context(head, exchange.peer(), door, config_);
  if (!context) return pass(std::move(context));
  auto form = form_of(head.fields.find("Content-Type").value_or(""), config_.ingest_body_bytes_max);
  if (!form) return pass(std::move(form));
  auto batch = std::make_shared<Batch>();
  batch->shared = std::move(*shared);
  batch->shared.envelope.context = std::move(*context);
  batch->form = std::move(*form);
  batch->peer = exchange.peer();
  batch->changed = runtime_.make_signal();
  return batch;
}

Task<Result<io::HttpAnswer>> BatchDoor::accept(io::HttpExchange& exchange, std::string door) {
  RequestBody body(exchange, workers_, config_, core::limits::kBatchBytesMax);
  if (auto opened = body.open(); !opened) co_return refused_coding(opened.error());
  const auto batch = begin(exchange, door);
  if (!batch) co_return pass(batch);
  const core::http::RequestHead& head = exchange.head();
  const auto atomic = core::http::query_parameter(head.query, "atomic").value_or("false");
  if (atomic != "true" && atomic != "false") {
    co_return refuse("Query parameter atomic must be true or false.");
  }
  if (atomic == "false" && (*batch)->shared.expected) {
    co_return refuse(
        "Content-Digest of a whole batch is verified with ?atomic=true only, because "
        "records are stored as they arrive. Parts of multipart/mixed may have theirs.");
  }
  const auto share = co_await memory_.acquire(
      body_memory(head, config_), runtime_.steady_now() + config_.ingest_admission_wait);
  if (!share) {
    co_return core::fail(Code::overloaded, Origin::self, Retry::safe,
                         "All memory for batches is in use; try again soon.");
  }
  if (atomic == "true") co_return co_await accept_whole(body, *batch);
  const auto whole = co_await read(body, *batch);
  while ((*batch)->in_flight != 0) co_await (*batch)->changed->wait(core::SteadyTime::max());
  if ((*batch)->results.empty()) {
    if (!whole) co_return pass(whole);
    co_return refuse("The batch holds no record.");
  }
  co_return answer_of((*batch)->results, whole);
}

// Elements are started as they become complete, the next one when its predecessor has its id.
Task<Result<void>> BatchDoor::read(RequestBody& body, std::shared_ptr<Batch> batch) {
  std::vector<std::byte> piece(core::limits::kReadBytes);
  core::BatchReader& reader = *batch->form.reader;
  std::uint64_t received = 0;
  for (;;) {
    const auto bytes = co_await body.read(piece);
    if (!bytes) co_return pass(bytes);
    received += *bytes;
    if (received > core::limits::kBatchBytesMax) {
      co_return refuse("The batch is larger than " +
                           core::format_size(core::limits::kBatchBytesMax) +
                           "; records after that were not read.",
                       Code::too_large);
    }
    auto read = *bytes == 0 ? reader.finish() : reader.feed(core::Bytes(piece).first(*bytes));
    while (auto element = reader.next()) {
      if (batch->results.size() >= core::limits::kBatchElementsMax) {
        co_return refuse("The batch has more than " +
                             std::to_string(core::limits::kBatchElementsMax) +
                             " records; those after it were not read.",
                         Code::too_large);
      }
      const std::uint64_t size = element->bytes.size();
      const auto has_room = [&] {
        return batch->identified && batch->in_flight < kInFlightMax &&
               (batch->in_flight == 0 ||
                batch->bytes_in_flight + size <= config_.ingest_body_bytes_max);
      };
      while (!has_room()) co_await batch->changed->wait(core::SteadyTime::max());
      start(batch, std::move(*element));
    }
    if (!read || *bytes == 0) co_return read;
  }
}

void BatchDoor::start(const std::shared_ptr<Batch>& batch, core::BatchElement element) {
  const std::size_t index = batch->results.size();
  batch->results.emplace_back();
  batch->bytes_in_flight += element.bytes.size();
  ++batch->in_flight;
  batch->identified = false;
  runtime_.spawn(take(batch, index, std::move(element)));
}

Task<> BatchDoor::take(std::shared_ptr<Batch> batch, std::size_t index,
                       core::BatchElement element) {
  auto deposit = deposit_of(*batch, index, element);
  if (!deposit) {
    batch->results[index] = pass(std::move(deposit));
  } else {
    deposit->on_identified = [batch, index] {
      if (index + 1 == batch->results.size()) batch->identified = true;
      batch->changed->notify_all();
    };
    batch->results[index] = co_await ingest_.deposit(std::move(*deposit));
  }
  if (index + 1 == batch->results.size()) batch->identified = true;
  batch->bytes_in_flight -= element.bytes.size();
  --batch->in_flight;
  batch->changed->notify_all();
}

Task<Result<std::vector<core::BatchElement>>> BatchDoor::read_whole(RequestBody& body,
                                                                    std::shared_ptr<Batch> batch) {
  std::vector<std::byte> piece(core::limits::kReadBytes);
  std::vector<core::BatchElement> elements;
  core::BatchReader& reader = *batch->form.reader;
  std::uint64_t size = 0;
  for (;;) {
    const auto bytes = co_await body.read(piece);
    if (!bytes) co_return pass(bytes);
    size += *bytes;
    if (size > config_.ingest_body_bytes_max) {
      co_return refuse("An atomic batch is at most " +
                           core::format_size(config_.ingest_body_bytes_max) +
                           " (ingest.body_bytes_max), as one record is; nothing was stored.",
                       Code::too_large);
    }
    const core::Bytes read = core::Bytes(piece).first(*bytes);
    batch->digest.update(read);
    if (auto fed = *bytes == 0 ? reader.finish() : reader.feed(read); !fed) co_return pass(fed);
    while (auto element = reader.next()) elements.push_back(std::move(*element));
    if (elements.size() > core::limits::kAtomicElementsMax) {
      co_return refuse("An atomic batch has at most " +
                           std::to_string(core::limits::kAtomicElementsMax) +
                           " records; nothing was stored.",
                       Code::too_large);
    }
    if (*bytes == 0) break;
  }
  if (elements.empty()) co_return refuse("The batch holds no record.");
  co_return elements;
}

Task<Result<io::HttpAnswer>> BatchDoor::accept_whole(RequestBody& body,
                                                     std::shared_ptr<Batch> batch) {
  if (batch->shared.expected) body.expect(*batch->shared.expected);
  const auto elements = co_await read_whole(body, batch);
  if (!elements) co_return pass(elements);
  Ingest::Together together;
  together.digest = batch->digest.finish();
  for (std::size_t i = 0; i < elements->size(); ++i) {
    auto deposit = deposit_of(*batch, i, (*elements)[i]);
    if (!deposit) {
      deposit.error().detail =
          "Record " + std::to_string(i) + ": " + deposit.error().detail + " Nothing was stored.";
      co_return pass(std::move(deposit));
    }
    together.deposits.push_back(std::move(*deposit));
  }
  together.key = batch->shared.key;
  together.peer = batch->peer;
  auto done = co_await ingest_.deposit_together(std::move(together));
  if (!done) co_return pass(std::move(done));
  std::vector<Result<Deposited>> results;
  for (Deposited& one : *done) results.emplace_back(std::move(one));
  co_return answer_of(results, {});
}

// A part says what it is by itself; other elements are what the request's head says.
Result<Deposit> BatchDoor::deposit_of(const Batch& batch, std::size_t index,
                                      const core::BatchElement& element) const {
  if (element.bad) return core::Failure(*element.bad);
  Deposit deposit;
  deposit.envelope = batch.shared.envelope;
  deposit.envelope.content_type = batch.form.content_type;
  deposit.payload = core::as_bytes(element.bytes);
  deposit.peer = batch.peer;
  if (batch.form.content_type.empty()) {
    auto part = read_ingest_fields(element.fields, config_);
    if (!part) return pass(std::move(part));
    part->envelope.context = std::move(deposit.envelope.context);
    deposit.envelope = std::move(part->envelope);
    deposit.key = std::move(part->key);
    deposit.expected = part->expected;
  }
  if (!deposit.key && batch.shared.key) {
    deposit.key = named_key(batch.shared.envelope.idempotency_key + "/" + std::to_string(index),
                            deposit.envelope);
    if (!deposit.key) return refuse("Header Idempotency-Key is too long for a batch.");
  }
  return deposit;
}

}  // namespace daybook::api
