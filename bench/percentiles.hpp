// Percentiles: a histogram of microseconds with three significant digits at any magnitude, in 240
// KiB.
//
// Log-linear buckets: values below 2048 have one bucket each; every further power of two is cut
// into 1024 equal buckets, so a bucket is never wider than 1/1024 of the values in it. A percentile
// is the upper end of its bucket, hence never flattering. One thread at a time.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

namespace daybook::bench {

class Percentiles {
 public:
  Percentiles() : counts_(kBuckets) {}

  void record(std::chrono::nanoseconds duration) {
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    record_micros(micros < 0 ? 0 : static_cast<std::uint64_t>(micros));
  }

  void record_micros(std::uint64_t micros) {
    ++counts_[bucket_of(micros)];
    ++total_;
    max_ = std::max(max_, micros);
  }

  // The value that a share of quantile (0..1) of all records does not exceed; 0 without records.
  [[nodiscard]] std::uint64_t micros_at(double quantile) const {
    if (total_ == 0) return 0;
    const auto wanted =
        static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(total_)));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      seen += counts_[bucket];
      if (seen >= std::max<std::uint64_t>(wanted, 1)) return std::min(upper_end(bucket), max_);
    }
    return max_;
  }

  [[nodiscard]] double milliseconds_at(double quantile) const {
    return static_cast<double>(micros_at(quantile)) / 1000.0;
  }
  [[nodiscard]] double max_milliseconds() const { return static_cast<double>(max_) / 1000.0; }
  [[nodiscard]] std::uint64_t count() const { return total_; }

 private:
  static constexpr unsigned kLinearBits = 11;  // values below 2^11 are exact
  static constexpr std::uint64_t kHalf = 1U << (kLinearBits - 1);
  static constexpr unsigned kValueBits = 40;  // 2^40 us are 12 days
  static constexpr std::size_t kBuckets = (kValueBits - kLinearBits + 2) * kHalf;

  // A value with b > 11 significant bits loses its lowest b - 11; what stays is in [1024, 2048).
  static std::size_t bucket_of(std::uint64_t micros) {
    micros = std::min(micros, (std::uint64_t{1} << kValueBits) - 1);
    const auto bits = static_cast<unsigned>(std::bit_width(micros));
    const unsigned shift = bits > kLinearBits ? bits - kLinearBits : 0;
    return shift * kHalf + (micros >> shift);
  }

  static std::uint64_t upper_end(std::size_t bucket) {
    if (bucket < 2 * kHalf) return bucket;
    const std::size_t shift = bucket / kHalf - 1;
    return ((bucket - shift * kHalf + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace daybook::bench
