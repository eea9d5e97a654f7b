// RequestBody: the body of a request as its sender meant it: decoded where it has a content coding,
// and compared with the digest of what was sent. Without either, reading is the socket's own read:
// no copy, no frame between. A coded one is decoded by the workers, straight into the caller's
// room; size, ratio and window are bounded, whatever the coding. I/O thread only.
#pragma once

#include <memory>
#include <optional>

#include "api/record_source.hpp"
#include "core/config.hpp"
#include "core/digest.hpp"
#include "core/http/content_decoder.hpp"
#include "core/ports/workers.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

// The most bytes a coded body may have: more than its payload only by what a coding adds.
[[nodiscard]] std::uint64_t coded_bytes_max(std::uint64_t decoded_bytes_max);

class RequestBody final : public RecordSource {
 public:
  // decoded_bytes_max: what the door takes; of coded bytes it is judged here, of decoded ones by
  // whoever reads.
  RequestBody(io::HttpExchange& exchange, core::Workers& workers, const core::Config& config,
              std::uint64_t decoded_bytes_max);

  // Call it first. The coding is the head's; the error is the client's, and its answer is
  // refused_coding().
  [[nodiscard]] core::Result<void> open();
  [[nodiscard]] core::http::Coding coding() const { return coding_; }
  // The bytes as sent must have this digest (RFC 9530: Content-Digest and Repr-Digest are of coded
  // bytes); judged before their end is told.
  void expect(const core::Sha256& of_content);

  [[nodiscard]] std::optional<std::uint64_t> bytes_max() const override;
  core::Task<core::Result<void>> arrives(std::size_t bytes) override;
  core::Task<core::Result<std::size_t>> read(core::MutableBytes into) override;
  [[nodiscard]] std::uint64_t memory() const override;

 private:
  struct Digest {
    core::Sha256 expected;
    core::Sha256Hasher hasher;
  };
  core::Task<core::Result<std::size_t>> read_hashed(core::MutableBytes into);
  core::Task<core::Result<std::size_t>> read_decoded(core::MutableBytes into);
  core::Task<core::Result<void>> fill_input();
  core::Result<void> judge_ratio() const;
  core::Result<void> judge_digest();

  io::HttpExchange& exchange_;
  core::Workers& workers_;
  const core::Config& config_;
  const std::uint64_t coded_max_;
  core::http::Coding coding_ = core::http::Coding::identity;
  std::unique_ptr<core::http::ContentDecoder> decoder_;
  std::optional<Digest> digest_;  // until it was judged
  core::ByteVector input_;        // coded bytes
  core::Bytes rest_;              // of them: not decoded yet
  bool ended_ = false;            // all coded bytes have come
  bool more_ = false;             // the decoder may have more without further input
  std::uint64_t coded_ = 0;
  std::uint64_t decoded_ = 0;
};

// 415, with what is taken (RFC 9110 section 12.5.3).
[[nodiscard]] io::HttpAnswer refused_coding(const core::Error& error);

}  // namespace daybook::api
