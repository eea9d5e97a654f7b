// What a store is given: payloads as they are, or as the frames that Daybook makes of them.
#pragma once

#include <vector>

#include "bench/payload_source.hpp"
#include "bench/roofline/servers.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"

namespace daybook::bench::roofline {

enum class Form { raw, sealed };

class StoredBodies {
 public:
  StoredBodies(const PayloadSource& payloads, Form form) : payloads_(payloads), form_(form) {
    if (form == Form::raw) return;
    for (std::uint64_t number = 0; number < kSealed; ++number) {
      core::ByteVector& body = sealed_.emplace_back();
      core::Bytes rest = payloads.at(number).bytes;
      while (!rest.empty()) {
        const core::Bytes block = rest.first(std::min(rest.size(), core::limits::kBlockBytes));
        rest = rest.subspan(block.size());
        const core::ByteVector frame = core::compress_frame(block, product_level());
        body.insert(body.end(), frame.begin(), frame.end());
      }
    }
  }

  [[nodiscard]] core::Bytes at(std::uint64_t number) const {
    if (form_ == Form::raw) return payloads_.at(number).bytes;
    return sealed_[number % kSealed];
  }
  // Bytes of the payload that it stands for.
  [[nodiscard]] std::uint64_t payload_bytes(std::uint64_t number) const {
    return payloads_.at(form_ == Form::raw ? number : number % kSealed).bytes.size();
  }
  [[nodiscard]] std::string_view name() const { return form_ == Form::raw ? "raw" : "compressed"; }

 private:
  static constexpr std::uint64_t kSealed = 64;
  const PayloadSource& payloads_;
  const Form form_;
  std::vector<core::ByteVector> sealed_;
};

}  // namespace daybook::bench::roofline
