// MessageSource: the payload of a message (core/message_reader.hpp) out of a request's body, while
// it arrives, and at its end what the message says about it. The document is never kept: pieces of
// it go through one block, decoded into the sealer's. A message that is refused for what is in it
// is put together again from what was sealed and what is still to come, and kept for an operator
// (refused_documents.hpp). I/O thread only; large pieces are read by the workers.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "api/ingest.hpp"
#include "api/refused_documents.hpp"
#include "api/request_body.hpp"
#include "core/message_payload.hpp"
#include "core/message_reader.hpp"

namespace daybook::api {

// The largest message: its payload may be base64 with escapes.
[[nodiscard]] std::uint64_t message_bytes_max(const core::Config& config);

// Whether ingest.message_base64_types names the type.
[[nodiscard]] bool is_base64_type(const core::Config& config, std::string_view type);

class MessageSource final : public LateSource {
 public:
  struct Services {
    core::Workers& workers;
    Ingest& ingest;
    RefusedDocuments& refused;
  };
  MessageSource(Services services, RequestBody& body, const core::Config& config);

  [[nodiscard]] std::optional<std::uint64_t> bytes_max() const override {
    return body_.bytes_max();
  }
  [[nodiscard]] std::uint64_t size_limit(std::uint64_t payload_max) const override;
  core::Task<core::Result<void>> arrives(std::size_t bytes) override {
    return body_.arrives(bytes);
  }
  core::Task<core::Result<std::size_t>> read(core::MutableBytes into) override;
  [[nodiscard]] std::uint64_t memory() const override;
  core::Task<core::Result<core::PayloadSealer::Sealed>> settle(
      Upload& upload, core::Result<void> received, core::PayloadSealer::Sealed sealed) override;

  // Under which id a refused message is kept; empty = it is not.
  [[nodiscard]] const std::string& kept_as() const { return kept_as_; }

 private:
  // How far the message was read when a piece came that may turn out to be the wrong one.
  struct Mark {
    std::size_t before = 0;
    std::size_t behind = 0;
    std::optional<core::MessagePayload> payload;
    bool payload_ended = false;
  };
  class Again;  // the message as it came
  using Sealed = core::PayloadSealer::Sealed;

  core::Task<core::Result<core::Bytes>> read_piece(std::size_t room);
  [[nodiscard]] bool in_base64() const;
  // What the message or its type says of its payload. Once the metadata is read.
  [[nodiscard]] core::PayloadEncoding encoding() const;
  core::Result<std::size_t> digest(core::Bytes piece, core::MutableBytes into);
  core::Result<std::size_t> take_from_spill(core::MutableBytes into);
  void mark();
  core::Failure refuse(core::Error error);
  core::Result<void> describe(Upload& upload);
  core::Result<std::string> content_type() const;
  [[nodiscard]] bool needs_another_pass() const;
  core::Task<core::Result<Sealed>> decode_sealed(const Sealed& sealed);
  core::Task<> keep(const Upload& upload, const Sealed& sealed);

  Services services_;
  RequestBody& body_;
  const core::Config& config_;
  core::MessageReader reader_;
  std::optional<core::MessagePayload> payload_;
  std::string payload_front_;  // the first bytes of its text
  std::shared_ptr<std::byte> block_;
  core::Bytes piece_;  // the last one, in the block
  Mark mark_;
  std::uint64_t bytes_read_ = 0;
  std::array<std::byte, 64> spill_{};  // what a piece gave where the caller had next to no room
  std::size_t spilled_ = 0;
  std::size_t spill_at_ = 0;
  bool ended_ = false;
  std::optional<core::Error> refusal_;  // of the message for what is in it
  std::string kept_as_;
};

}  // namespace daybook::api
