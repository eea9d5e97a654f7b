// Admission: what a request that brings a record must get before its body is read. Decided from the
// head alone:
//
//   its client's share of memory -> 429      all clients' memory -> 503      Redis's memory -> 503
//
// A payload whose size is known is charged whole, any other block by block. What was granted is a
// Ticket; it goes back when the request ends, however it ends. Also says when another try makes
// sense: from the rate at which memory and buffer really drain. I/O thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/metrics.hpp"
#include "core/budget.hpp"
#include "core/client_budgets.hpp"
#include "core/config.hpp"
#include "core/drain_rate.hpp"
#include "core/ports/write_ahead_buffer.hpp"

namespace daybook::api {

class Admission {
 public:
  struct Services {
    core::Runtime& runtime;
    core::WriteAheadBuffer& buffer;
    core::Budget& memory;
    Metrics& metrics;
    // Whether a record has another way than the buffer (the ladder's further rungs).
    std::function<bool()> other_way;
  };
  Admission(Services services, const core::Config& config);

  class Ticket {
   public:
    Ticket() = default;
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    ~Ticket() { give_back(); }

    // The body has become a record of this size; the rest of the memory goes back.
    void sealed(std::uint64_t stored_size);
    // The buffer has the record: its figures count it from now on.
    void appended();
    void give_back();

   private:
    friend class Admission;
    Admission* admission_ = nullptr;
    std::shared_ptr<core::Budget> client_;  // before the share of it
    core::Budget::Share of_client_;
    core::Budget::Share of_all_;
    std::uint64_t unappended_ = 0;
  };

  // Fills the ticket, or says which room is missing after waiting until the deadline. bytes_max: of
  // the payload; nullopt = it is charged as it comes. beside: memory that what it comes from takes.
  // began: since when the request asks.
  core::Task<core::Result<void>> admit(std::optional<std::uint64_t> bytes_max, std::uint64_t beside,
                                       std::string peer, core::SteadyTime began, Ticket& ticket);
  // More bytes of a payload whose size nobody knows are to come; without waiting.
  core::Result<void> grow(Ticket& ticket, std::uint64_t body_bytes, std::uint64_t beside);

  // Whether Redis's memory takes this body beside all that were admitted and are not appended yet.
  // The one place that decides what a full buffer means for a request.
  [[nodiscard]] core::Result<void> buffer_has_room(std::uint64_t body_bytes);

  // Counts a refusal by its reason. Seconds for Retry-After; 0 = none.
  std::uint32_t refused(const core::Error& error, std::uint64_t dice);
  void accepted() { down_since_.reset(); }

 private:
  [[nodiscard]] std::uint32_t retry_after(const core::Error& error, std::uint64_t dice);

  Services services_;
  const core::Config& config_;
  core::ClientBudgets clients_;
  core::DrainRate memory_drain_;
  std::uint64_t unappended_ = 0;  // bytes of bodies that are admitted and not yet in the buffer
  std::uint64_t missing_ = 0;     // what the last refusal for full memory lacked
  std::optional<core::SteadyTime> down_since_;
};

// Memory of an upload of `size` bytes: blocks being filled, hashed and compressed, and, when
// nothing compresses, as many bytes of frames.
[[nodiscard]] std::uint64_t upload_memory(std::uint64_t size);

// What a message of so much text may hold beside as much memory, while its payload came before
// anybody knew that it is base64: there are two sealed forms of it then, the text's and the bytes'.
// Base64 of random bytes has 0.75 of its length as frames, and as many bytes; JSON's escapes at
// random make text longer faster than its frames (measured: text of 2 payloads, frames of 1.31).
[[nodiscard]] std::uint64_t second_form_memory(std::uint64_t text_bytes,
                                               const core::Config& config);

// What one client address may hold: ingest.client_memory_max, or half of all; always enough for one
// largest payload, as base64 in a message, coded with the largest window.
[[nodiscard]] std::uint64_t client_memory_max(const core::Config& config);

}  // namespace daybook::api
