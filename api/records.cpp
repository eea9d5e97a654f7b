#include "api/records.hpp"

#include <algorithm>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/problem.hpp"
#include "api/record_json.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"
#include "core/sealed_object.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr auto kReadTimeout = std::chrono::seconds(30);
constexpr auto kLongPollMax = std::chrono::minutes(10);

Task<int> answer(io::HttpExchange& exchange, io::HttpAnswer what) {
  const int status = what.status;
  static_cast<void>(co_await exchange.respond(std::move(what)));
  co_return status;
}

Task<int> answer(io::HttpExchange& exchange, const core::Error& error) {
  if (http_status(error) >= 500) spdlog::warn("reading back: {}", error.detail);
  co_return co_await answer(exchange, problem(error));
}

core::Failure unknown_record(const std::string& id) {
  return core::fail(Code::not_found, Origin::client, Retry::never,
                    "No record has the id " + id + ".");
}

}  // namespace

core::Deadline Records::deadline() const {
  return services_.runtime.steady_now() + kReadTimeout;
}

Task<Result<Records::Found>> Records::find(std::string id) {
  const auto parsed = core::RecordId::parse(id);
  if (!parsed) {
    co_return core::fail(Code::invalid_argument, Origin::client, Retry::never,
                         "'" + id.substr(0, 80) +
                             "' is no record id; one looks like "
                             "01890a5d-ac96-774b-bcce-b302099a8057.");
  }
  // Twice, because the record may move from the buffer to the metadata store between the looks.
  for (int look = 0; look < 2; ++look) {
    // Asked first: it may be released, and in nobody's hands, when the answers are there.
    const bool archived = has_object(*parsed);
    auto row = co_await services_.metadata.find(*parsed, deadline());
    if (row && *row) co_return Found{.row = std::move(**row), .indexed = true, .dropped = {}};
    auto spooled = co_await find_spooled(*parsed);
    if (!spooled) co_return pass(std::move(spooled));
    if (*spooled) co_return std::move(**spooled);
    auto head = co_await services_.buffer.find(*parsed, deadline());
    if (head && *head) {
      Found found;
      found.row.envelope = std::move((*head)->head.envelope);
      found.row.data_offset = (*head)->head.data_offset;
      found.row.stored_size = (*head)->entry.stored_size;
      found.row.position = (*head)->entry.position;
      found.parked = (*head)->state == core::BufferState::parked;
      found.archived = archived;
      co_return found;
    }
    // "Not here" must not be said while one of the two places cannot be asked.
    if (!row) co_return pass(std::move(row));
    if (!head) co_return pass(std::move(head));
  }
  auto dropped = co_await services_.buffer.dropped(*parsed, deadline());
  if (!dropped) co_return pass(std::move(dropped));
  if (*dropped) {
    Found found;
    found.row.envelope.id = *parsed;
    found.dropped = std::move(**dropped);
    co_return found;
  }
  co_return unknown_record(id);
}

Task<Result<std::optional<Records::Found>>> Records::find_spooled(core::RecordId id) {
  const auto where = services_.spool != nullptr ? services_.spool->find(id) : std::nullopt;
  if (!where) co_return std::optional<Found>{};
  const std::uint64_t front =
      std::min<std::uint64_t>(where->stored_size, core::limits::kEnvelopeBytesMax + 8);
  const auto bytes = co_await services_.spool->read_stored(*where, 0, front);
  if (!bytes) {
    // Its segment may have gone because the record went to the buffer meanwhile.
    if (!services_.spool->find(id)) co_return std::optional<Found>{};
    co_return pass(bytes);
  }
  auto head = core::open_head(*bytes);
  if (!head) co_return pass(std::move(head));
  Found found;
  found.row.envelope = std::move(head->envelope);
  found.row.data_offset = head->data_offset;
  found.row.stored_size = where->stored_size;
  found.spooled = true;
  co_return std::optional(std::move(found));
}

bool Records::has_object(const core::RecordId& id) const {
  if (services_.pipeline == nullptr) return false;
  const std::string_view stage = services_.pipeline->stage_of(id);
  return stage == "index" || stage == "release";
}

std::string Records::state_of(const Found& found) const {
  if (found.indexed) return found.row.state;
  if (found.spooled) return "spooled";
  if (found.parked) return "parked";
  if (found.dropped) return "dropped";
  return found.archived || has_object(found.row.envelope.id) ? "archived" : "buffered";
}

// Asked again and again: the record may be in another process's hands.
Task<bool> Records::wait_for(core::RecordId id, Level level, core::Deadline deadline) {
  constexpr auto kLongest = std::chrono::milliseconds(200);
  core::Duration pause = std::chrono::milliseconds(5);
  const auto never = services_.runtime.make_signal();
  for (;;) {
    const auto found = co_await find(id.str());
    if (found) {
      const std::string state = state_of(*found);
      if (state == "indexed" || (state == "archived" && level == Level::archived)) co_return true;
    }
    const core::SteadyTime now = services_.runtime.steady_now();
    if (now >= deadline) co_return false;
    co_await never->wait(std::min(deadline, now + pause));
    pause = std::min<core::Duration>(pause * 2, kLongest);
  }
}

// ?wait=archived|indexed&timeout=30s holds the answer until then; it shows the state reached.
Task<Result<void>> Records::long_poll(const core::http::RequestHead& head, const std::string& id) {
  const auto wait = core::http::query_parameter(head.query, "wait");
  if (!wait) co_return Result<void>{};
  const auto refuse = [](std::string detail) {
    return core::fail(Code::invalid_argument, Origin::client, Retry::never, std::move(detail));
  };
  const auto level = parse_level(*wait);
  if (!level) co_return refuse("Query parameter wait must be archived or indexed.");
  const auto text = core::http::query_parameter(head.query, "timeout").value_or("30s");
  const auto timeout = core::parse_duration(text);
  if (!timeout || *timeout > kLongPollMax) {
    co_return refuse("Query parameter timeout must be a time such as 10s, at most 10m.");
  }
  if (const auto parsed = core::RecordId::parse(id)) {
    static_cast<void>(
        co_await wait_for(*parsed, *level, services_.runtime.steady_now() + *timeout));
  }
  co_return Result<void>{};
}

Task<int> Records::show(io::HttpExchange& exchange, std::string id) {
  if (auto waited = co_await long_poll(exchange.head(), id); !waited) {
    co_return co_await answer(exchange, waited.error());
  }
  const auto found = co_await find(std::move(id));
  if (!found) co_return co_await answer(exchange, found.error());
  if (found->dropped) {
    co_return co_await answer(exchange, json_answer(200, dropped_json(*found->dropped)));
  }
  core::ParkedRecord details;
  if (found->parked) {
    auto parked = co_await services_.buffer.find_parked(found->row.envelope.id, deadline());
    if (!parked) co_return co_await answer(exchange, parked.error());
    if (*parked) details = std::move(**parked);
  }
  co_return co_await answer(exchange,
                            json_answer(200, record_json(found->row, state_of(*found),
                                                         found->parked ? &details : nullptr)));
}

Task<int> Records::payload(io::HttpExchange& exchange, std::string id) {
  auto found = co_await find(std::move(id));
  if (!found) co_return co_await answer(exchange, found.error());
  if (found->dropped) {
    co_return co_await answer(
        exchange,
        problem(410, "dropped",
                "This record was dropped at " + core::format_time(found->dropped->dropped_at) +
                    "; its bytes are gone. GET /v1/records/" + found->row.envelope.id.str() +
                    " says by whom and why."));
  }
  const std::uint64_t size = found->row.envelope.size;
  const std::string etag = "\"" + found->row.envelope.sha256.hex() + "\"";
  const auto& fields = exchange.head().fields;
  if (fields.find("If-None-Match").value_or("") == etag) {
    io::HttpAnswer unchanged;
    unchanged.status = 304;
    unchanged.fields.add("ETag", etag);
    co_return co_await answer(exchange, std::move(unchanged));
  }
  core::http::RangeOutcome range{core::http::RangeOutcome::Kind::whole, 0, size - 1};
  // If-Range with another validator asks for the whole (RFC 9110 section 13.1.5).
  const auto condition = fields.find("If-Range");
  if (const auto asked = fields.find("Range"); asked && (!condition || *condition == etag)) {
    range = core::http::parse_range(*asked, size);
    if (range.kind == core::http::RangeOutcome::Kind::whole) range = {range.kind, 0, size - 1};
  }
  if (range.kind == core::http::RangeOutcome::Kind::unsatisfiable) {
    io::HttpAnswer refused =
        problem(416, "unsatisfiable_range", "The payload has " + std::to_string(size) + " bytes.");
    refused.fields.add("Content-Range", "bytes */" + std::to_string(size));
    co_return co_await answer(exchange, std::move(refused));
  }
  co_return co_await send_payload(exchange, std::move(*found), range);
}

Task<Result<core::ByteVector>> Records::read_stored(const Found& found, std::uint64_t offset,
                                                    std::uint64_t length) {
  if (found.indexed) {
    co_return co_await services_.objects.get(found.row.object_key, core::ByteRange{offset, length},
                                             deadline());
  }
  const core::RecordId& id = found.row.envelope.id;
  if (const auto where = found.spooled ? services_.spool->find(id) : std::nullopt) {
    auto bytes = co_await services_.spool->read_stored(*where, offset, length);
    if (bytes || services_.spool->find(id)) co_return bytes;
  }
  auto bytes =
      co_await services_.buffer.read_range(found.row.envelope.id, offset, length, deadline());
  if (bytes || bytes.error().code != Code::not_found) co_return bytes;
  // It was archived and released since we looked.
  const auto row = co_await services_.metadata.find(found.row.envelope.id, deadline());
  if (!row || !*row) co_return bytes;
  // In a segment it does not begin where its own object would.
  const std::uint64_t moved = (*row)->data_offset - found.row.data_offset;
  co_return co_await services_.objects.get((*row)->object_key,
                                           core::ByteRange{offset + moved, length}, deadline());
}

Task<int> Records::send_payload(io::HttpExchange& exchange, Found found,
                                core::http::RangeOutcome range) {
  const core::Envelope& envelope = found.row.envelope;
  const auto where =
      core::frames_of_range(envelope.frames, found.row.data_offset, range.first, range.last);
  const auto share = co_await services_.memory.acquire(
      where.stored_length + core::limits::kBlockBytes, deadline());
  if (!share) {
    co_return co_await answer(exchange, core::Error{Code::overloaded, Origin::self, Retry::safe,
                                                    "All memory for payloads is in use; try again "
                                                    "soon."});
  }
  const auto stored = co_await read_stored(found, where.stored_first, where.stored_length);
  if (!stored) co_return co_await answer(exchange, stored.error());

  const bool part = range.kind == core::http::RangeOutcome::Kind::part;
  io::HttpAnswer head;
  head.status = part ? 206 : 200;
  head.fields.add("Content-Type", envelope.content_type.empty() ? "application/octet-stream"
                                                                : envelope.content_type);
  head.fields.add("ETag", "\"" + envelope.sha256.hex() + "\"");
  head.fields.add("Accept-Ranges", "bytes");
  head.fields.add("Repr-Digest", core::http::format_content_digest(envelope.sha256));
  if (part) {
    head.fields.add("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                         std::to_string(range.last) + "/" +
                                         std::to_string(envelope.size));
  } else {
    head.fields.add("Content-Digest", core::http::format_content_digest(envelope.sha256));
  }
  std::uint64_t left = range.last - range.first + 1;
  std::uint64_t skip = where.skip;
  core::Bytes rest(*stored);
  for (std::size_t i = where.frame_first; i < where.frame_first + where.frame_count; ++i) {
    const core::Bytes frame = rest.first(envelope.frames[i]);
    rest = rest.subspan(frame.size());
    const std::size_t size = std::min<std::uint64_t>(core::limits::kBlockBytes,
                                                     envelope.size - i * core::limits::kBlockBytes);
    Result<core::ByteVector> block;
    co_await services_.workers.run([&] { block = core::decompress_frame(frame, size); });
    const bool first = i == where.frame_first;
    if (!block) {
      // Bytes already sent cannot be taken back: the connection ends short of its Content-Length.
      spdlog::error("record {}: {}", envelope.id.str(), block.error().detail);
      if (first) co_return co_await answer(exchange, block.error());
      co_return 500;
    }
    if (first && !co_await exchange.begin(head, left)) co_return 499;
    if (exchange.head().method == "HEAD") co_return head.status;
    const core::Bytes piece =
        core::Bytes(*block).subspan(skip).first(std::min<std::uint64_t>(left, size - skip));
    if (!co_await exchange.write({piece})) co_return 499;  // the client left
    left -= piece.size();
    skip = 0;
  }
  co_return head.status;
}

Task<int> Records::list(io::HttpExchange& exchange) {
  const auto query = parse_record_query(exchange.head().query);
  if (!query) co_return co_await answer(exchange, query.error());
  const auto rows = co_await services_.metadata.list(*query, deadline());
  if (!rows) co_return co_await answer(exchange, rows.error());
  co_return co_await answer(exchange, json_answer(200, page_json(*rows, query->limit)));
}

Task<int> Records::parked(io::HttpExchange& exchange) {
  const auto records = co_await services_.buffer.parked(deadline());
  if (!records) co_return co_await answer(exchange, records.error());
  co_return co_await answer(exchange, json_answer(200, parked_json(*records)));
}

Task<int> Records::replay(io::HttpExchange& exchange) {
  const std::string_view query = exchange.head().query;
  std::vector<core::RecordId> ids;
  if (core::http::query_parameter(query, "all") == "true") {
    const auto records = co_await services_.buffer.parked(deadline());
    if (!records) co_return co_await answer(exchange, records.error());
    for (const core::ParkedRecord& record : *records) ids.push_back(record.entry.id);
  } else {
    for (const std::string& text : core::http::query_parameters(query, "id")) {
      const auto id = core::RecordId::parse(text);
      if (!id) {
        co_return co_await answer(
            exchange, problem(400, "invalid_argument", "'" + text + "' is no record id."));
      }
      ids.push_back(*id);
    }
    if (ids.empty()) {
      co_return co_await answer(
          exchange, problem(400, "invalid_argument", "Say which: ?id={record id} or ?all=true."));
    }
  }
  const auto count = co_await services_.buffer.unpark(std::move(ids), deadline());
  if (!count) co_return co_await answer(exchange, count.error());
  spdlog::info("{} parked records are tried again on request", *count);
  co_return co_await answer(
      exchange,
      json_answer(200, boost::json::serialize(boost::json::object{{"replayed", *count}}) + "\n"));
}

}  // namespace daybook::api
