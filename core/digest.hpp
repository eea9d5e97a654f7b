// SHA-256 (FIPS 180-4): the digest of payloads and of stored objects.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/units.hpp"

namespace daybook::core {

struct Sha256 {
  std::array<std::byte, 32> bytes{};

  [[nodiscard]] std::string hex() const;
  [[nodiscard]] static std::optional<Sha256> from_hex(std::string_view text);
  friend bool operator==(const Sha256&, const Sha256&) = default;
};

// Feeds bytes in order; one thread at a time.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;

  void update(Bytes bytes);
  // The same as two updates, in two thirds of the time where the processor can (sha256_pair.hpp)
  // and both messages are at a multiple of 64 bytes.
  static void update_pair(Sha256Hasher& first, Bytes first_bytes, Sha256Hasher& second,
                          Bytes second_bytes);
  [[nodiscard]] Sha256 finish();  // once; the hasher is spent then

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

[[nodiscard]] Sha256 sha256(Bytes bytes);
[[nodiscard]] Sha256 sha256(const Slices& slices);
[[nodiscard]] Sha256 hmac_sha256(Bytes key, Bytes message);         // RFC 2104
[[nodiscard]] std::array<std::byte, 16> md5(const Slices& slices);  // S3's ETag, nothing else

}  // namespace daybook::core
