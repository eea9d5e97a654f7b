#include "api/admission.hpp"

#include <algorithm>

#include "api/problem.hpp"
#include "core/limits.hpp"

namespace daybook::api {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

namespace {

// A disk below its reserve is emptied by a person.
constexpr double kDiskRetryS = 30;

std::uint64_t missing_in(const core::Budget& budget, std::uint64_t want) {
  const std::uint64_t free = budget.total() - budget.used();
  return want > free ? want - free : 0;
}

// A value of the label `reason`; null where the refusal protects nothing but the client's own data.
const char* reason_of(const core::Error& error) {
  switch (error.code) {
    case Code::overloaded:
      return error.origin == Origin::client ? "client_memory" : "memory";
    case Code::out_of_space:
      return error.origin == Origin::self ? "disk" : "buffer_memory";
    case Code::timeout:
      return error.origin == Origin::client ? "too_slow" : "dependency";
    case Code::unavailable:
    case Code::misconfigured:
    case Code::denied:
      return "dependency";
    default:
      return nullptr;
  }
}

}  // namespace

std::uint64_t upload_memory(std::uint64_t size) {
  constexpr std::uint64_t kBlocks = (core::limits::kBlocksInFlight + 1) * core::limits::kBlockBytes;
  return size + std::min(size + core::limits::kBlockBytes, kBlocks);
}

std::uint64_t second_form_memory(std::uint64_t text_bytes, const core::Config& config) {
  const std::uint64_t forms_max = config.ingest_body_bytes_max * 19 / 8;
  return std::min(text_bytes * 9 / 16, forms_max - std::min(forms_max, text_bytes));
}

std::uint64_t client_memory_max(const core::Config& config) {
  const std::uint64_t all = config.ingest_memory_max;
  const std::uint64_t wanted =
      config.ingest_client_memory_max == 0 ? all / 2 : config.ingest_client_memory_max;
  const std::uint64_t text = 2 * config.ingest_body_bytes_max;
  const std::uint64_t largest = upload_memory(text) + second_form_memory(text, config) +
                                core::limits::kCodingWindowMax + core::MiB;
  return std::min(all, std::max(wanted, largest));
}

Admission::Admission(Services services, const core::Config& config)
    : services_(std::move(services)),
      config_(config),
      clients_(services_.runtime, client_memory_max(config)) {
  for (const char* reason :
       {"client_memory", "memory", "disk", "buffer_memory", "too_slow", "dependency"}) {
    services_.metrics.add(services_.metrics.refused, {{"reason", reason}}, 0);
  }
}

void Admission::Ticket::sealed(std::uint64_t stored_size) {
  if (admission_ == nullptr) return;
  const std::uint64_t before = of_all_.amount();
  of_all_.shrink_to(stored_size);
  of_client_.shrink_to(stored_size);
  admission_->memory_drain_.add(before - of_all_.amount(),
                                admission_->services_.runtime.steady_now());
  const std::uint64_t kept = std::min(unappended_, stored_size);
  admission_->unappended_ -= unappended_ - kept;
  unappended_ = kept;
}

void Admission::Ticket::appended() {
  if (admission_ != nullptr) admission_->unappended_ -= unappended_;
  unappended_ = 0;
}

void Admission::Ticket::give_back() {
  if (admission_ == nullptr) return;
  appended();
  admission_->memory_drain_.add(of_all_.amount(), admission_->services_.runtime.steady_now());
  of_all_.shrink_to(0);
  of_client_.shrink_to(0);
  admission_ = nullptr;
}

Task<Result<void>> Admission::admit(std::optional<std::uint64_t> bytes_max, std::uint64_t beside,
                                    std::string peer, core::SteadyTime began, Ticket& ticket) {
  const std::uint64_t body = bytes_max.value_or(core::limits::kBlockBytes);
  const std::uint64_t want = upload_memory(body) + beside;
  const core::Deadline deadline = began + config_.ingest_admission_wait;
  if (auto room = buffer_has_room(body); !room) co_return room;
  std::shared_ptr<core::Budget> client;
  std::optional<core::Budget::Share> of_client(std::in_place);
  if (clients_.each() < services_.memory.total()) {  // otherwise the common bound is the only one
    client = clients_.of(peer);
    of_client = co_await client->acquire(want, deadline);
  }
  if (!of_client) {
    missing_ = missing_in(*client, want);
    co_return core::fail(Code::overloaded, Origin::client, Retry::safe,
                         "The requests of this address hold as much memory as one address may "
                         "(ingest.client_memory_max); send fewer at a time.");
  }
  auto of_all = co_await services_.memory.acquire(want, deadline);
  if (!of_all) {
    missing_ = missing_in(services_.memory, want);
    co_return core::fail(Code::overloaded, Origin::self, Retry::safe,
                         "All memory for payloads is in use (ingest.memory_max); try again soon.");
  }
  if (auto room = buffer_has_room(body); !room) co_return room;  // others were admitted meanwhile
  ticket.client_ = std::move(client);
  ticket.of_client_ = std::move(*of_client);
  ticket.of_all_ = std::move(*of_all);
  ticket.unappended_ = body;
  ticket.admission_ = this;
  unappended_ += body;
  co_return Result<void>{};
}

Result<void> Admission::grow(Ticket& ticket, std::uint64_t body_bytes, std::uint64_t beside) {
  const std::uint64_t want = upload_memory(body_bytes) + beside;
  const std::uint64_t more = body_bytes - std::min(body_bytes, ticket.unappended_);
  if (more == 0 && want <= ticket.of_all_.amount()) return {};
  if (more != 0) {
    if (auto room = buffer_has_room(more); !room) return room;
  }
  if (ticket.client_ && !ticket.of_client_.try_grow_to(want)) {
    missing_ = missing_in(*ticket.client_, want - ticket.of_client_.amount());
    return core::fail(Code::overloaded, Origin::client, Retry::safe,
                      "Memory for this address's payloads ran out while the body arrived "
                      "(ingest.client_memory_max); send it with Content-Length or try again soon.");
  }
  if (!ticket.of_all_.try_grow_to(want)) {
    missing_ = missing_in(services_.memory, want - ticket.of_all_.amount());
    return core::fail(
        Code::overloaded, Origin::self, Retry::safe,
        "Memory for payloads ran out while the body arrived (ingest.memory_max); send "
        "it with Content-Length or try again soon.");
  }
  ticket.unappended_ += more;
  unappended_ += more;
  return {};
}

Result<void> Admission::buffer_has_room(std::uint64_t body_bytes) {
  const std::uint64_t missing = services_.buffer.missing_room(unappended_ + body_bytes);
  if (missing == 0 || services_.other_way()) return {};
  return core::fail(
      Code::out_of_space, Origin::buffer, Retry::safe,
      "Redis's memory has no room for this body above its reserve (buffer.memory_reserve). Records "
      "on their way to the archive make room; try again, or raise maxmemory.");
}

std::uint32_t Admission::refused(const core::Error& error, std::uint64_t dice) {
  if (const char* reason = reason_of(error)) {
    services_.metrics.add(services_.metrics.refused, {{"reason", reason}});
  }
  return retry_after(error, dice);
}

std::uint32_t Admission::retry_after(const core::Error& error, std::uint64_t dice) {
  const int status = http_status(error);
  if (status != 429 && status != 503 && status != 507) return 0;
  const core::SteadyTime now = services_.runtime.steady_now();
  if (error.code == Code::overloaded) {
    return core::retry_after_drain_s(missing_, memory_drain_.per_second(now), dice);
  }
  if (error.code == Code::out_of_space) {
    if (error.origin == Origin::self) return core::retry_after_s(kDiskRetryS, dice);
    const std::uint64_t missing =
        services_.buffer.missing_room(unappended_ + config_.ingest_body_bytes_max);
    return core::retry_after_drain_s(std::max<std::uint64_t>(missing, 1),
                                     services_.buffer.drain_per_second(), dice);
  }
  if (!down_since_) down_since_ = now;
  return core::retry_after_outage_s(now - *down_since_, dice);
}

}  // namespace daybook::api
