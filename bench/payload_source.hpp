// PayloadSource: the bodies that a load run posts. Everything is read, cut and hashed before the
// run, so that the client costs the server as little of the shared machine as possible.
//
// Where they come from, first match:
//   a corpus with payloads.tsv, no size asked for   its slices as they are, each digest checked
//   a corpus                                        its mixed-* files (else all) as one text, cut
//                                                   to size
//   no corpus                                       generated audit JSON (audit_text.hpp)
// A share `incompressible` of the records is random bytes instead. The same seed gives the same
// bodies in the same order. Read-only after load(); any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::bench {

struct Payload {
  core::ByteVector bytes;
  std::string sha256_hex;
  std::string content_digest;  // value of the Content-Digest field
  std::string content_type;
};

struct PayloadOptions {
  std::uint64_t size_min = 0;  // 0: as they come (payloads.tsv) or 1 to 6 MiB
  std::uint64_t size_max = 0;
  std::filesystem::path corpus;  // empty: generate
  double incompressible = 0.0;   // 0 to 1
  std::uint64_t seed = 1;
};

class PayloadSource {
 public:
  static core::Result<PayloadSource> load(const PayloadOptions& options);

  // The body of the record with this number; numbers past the pool's size start again.
  [[nodiscard]] const Payload& at(std::uint64_t number) const {
    return pool_[order_[number % order_.size()]];
  }
  // Writes the bodies as files 0, 1, … and `order`, the numbers of the files in the order in which
  // at() gives them, one a line: for clients of other protocols, which then send the same bytes.
  [[nodiscard]] core::Result<void> write_to(const std::filesystem::path& folder) const;
  [[nodiscard]] std::size_t distinct() const { return pool_.size(); }
  [[nodiscard]] std::uint64_t pool_bytes() const;
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  std::vector<Payload> pool_;
  std::vector<std::size_t> order_;
  std::string description_;
};

}  // namespace daybook::bench
