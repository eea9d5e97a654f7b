// SHA256_Init and its kin are "deprecated since OpenSSL 3.0" in favour of EVP, which hides the
// state.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/digest.hpp"

#include <algorithm>
#include <array>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "core/check.hpp"
#include "core/sha256_pair.hpp"
#include "core/text.hpp"

namespace daybook::core {
namespace {

struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using MdContext = std::unique_ptr<EVP_MD_CTX, ContextFree>;

Sha256State state_of(const SHA256_CTX& context) {
  Sha256State state;
  std::ranges::copy(context.h, state.begin());
  return state;
}

// The state after `bytes` more of the message; Nh and Nl count its bits.
void advance(SHA256_CTX& context, const Sha256State& state, std::uint64_t bytes) {
  static_assert(sizeof(SHA_LONG) == sizeof(std::uint32_t));
  std::ranges::copy(state, context.h);
  const std::uint64_t bits = ((std::uint64_t{context.Nh} << 32) | context.Nl) + 8 * bytes;
  context.Nh = static_cast<SHA_LONG>(bits >> 32);
  context.Nl = static_cast<SHA_LONG>(bits);
}

}  // namespace

// OpenSSL's digest of the low level: its state can be read, which update_pair needs.
struct Sha256Hasher::Context {
  SHA256_CTX sha{};
};

std::string Sha256::hex() const {
  return to_hex(bytes);
}

std::optional<Sha256> Sha256::from_hex(std::string_view text) {
  const auto decoded = core::from_hex(text);
  if (!decoded || decoded->size() != 32) return std::nullopt;
  Sha256 digest;
  std::ranges::copy(*decoded, digest.bytes.begin());
  return digest;
}

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {
  CHECK(SHA256_Init(&context_->sha) == 1);
}
Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::update(Bytes bytes) {
  // Payload bytes come from another core, and SHA-256 has too few loads in flight to hide that:
  // asking for the next piece while this one is hashed is worth a quarter of its speed.
  constexpr std::size_t kPieceBytes = 8 * KiB;
  constexpr std::size_t kCacheLineBytes = 64;
  while (!bytes.empty()) {
    const Bytes piece = bytes.first(std::min(kPieceBytes, bytes.size()));
    bytes = bytes.subspan(piece.size());
    const std::size_t ahead = std::min(kPieceBytes, bytes.size());
    for (std::size_t at = 0; at < ahead; at += kCacheLineBytes) {
      __builtin_prefetch(bytes.data() + at);
    }
    CHECK(SHA256_Update(&context_->sha, piece.data(), piece.size()) == 1);
  }
}

void Sha256Hasher::update_pair(Sha256Hasher& first, Bytes first_bytes, Sha256Hasher& second,
                               Bytes second_bytes) {
  SHA256_CTX& one = first.context_->sha;
  SHA256_CTX& two = second.context_->sha;
  if (can_hash_pairs() && one.num == 0 && two.num == 0) {
    std::size_t common = std::min(first_bytes.size(), second_bytes.size());
    common -= common % kSha256BlockBytes;
    Sha256State state_one = state_of(one);
    Sha256State state_two = state_of(two);
    hash_pair(state_one, first_bytes.first(common), state_two, second_bytes.first(common));
    advance(one, state_one, common);
    advance(two, state_two, common);
    first_bytes = first_bytes.subspan(common);
    second_bytes = second_bytes.subspan(common);
  }
  first.update(first_bytes);
  second.update(second_bytes);
}

Sha256 Sha256Hasher::finish() {
  Sha256 digest;
  CHECK(SHA256_Final(reinterpret_cast<unsigned char*>(digest.bytes.data()), &context_->sha) == 1);
  return digest;
}

Sha256 sha256(Bytes bytes) {
  Sha256Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

Sha256 sha256(const Slices& slices) {
  Sha256Hasher hasher;
  for (Bytes slice : slices) hasher.update(slice);
  return hasher.finish();
}

// Not OpenSSL's HMAC(), which looks its parts up anew for each message and takes three times as
// long for a short one (measured: 3.5 us and 1.1 us for 1.4 kB).
Sha256 hmac_sha256(Bytes key, Bytes message) {
  constexpr std::byte kInner{0x36};
  constexpr std::byte kOuter{0x5c};
  std::array<std::byte, kSha256BlockBytes> pad{};
  if (key.size() > pad.size()) {
    std::ranges::copy(sha256(key).bytes, pad.begin());
  } else {
    std::ranges::copy(key, pad.begin());
  }
  for (std::byte& byte : pad) byte ^= kInner;
  const Sha256 inner = sha256(Slices{pad, message});
  for (std::byte& byte : pad) byte ^= kInner ^ kOuter;
  const Sha256 outer = sha256(Slices{pad, inner.bytes});
  OPENSSL_cleanse(pad.data(), pad.size());
  return outer;
}

std::array<std::byte, 16> md5(const Slices& slices) {
  // Fetched once: EVP_md5() would look the provider up at every initialisation.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "MD5", nullptr);
  const MdContext context(EVP_MD_CTX_new());
  CHECK(context && EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1);
  for (Bytes slice : slices) {
    CHECK(EVP_DigestUpdate(context.get(), slice.data(), slice.size()) == 1);
  }
  std::array<std::byte, 16> digest{};
  CHECK(EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()),
                           nullptr) == 1);
  return digest;
}

}  // namespace daybook::core
