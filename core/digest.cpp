#include "core/digest.hpp"

#include <algorithm>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/check.hpp"
#include "core/text.hpp"

namespace daybook::core {
namespace {

struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using MdContext = std::unique_ptr<EVP_MD_CTX, ContextFree>;

// Fetched once: EVP_sha256() would look the provider up at every initialisation.
const EVP_MD* fetched(const char* name) {
  return EVP_MD_fetch(nullptr, name, nullptr);
}

MdContext start(const EVP_MD* algorithm) {
  MdContext context(EVP_MD_CTX_new());
  CHECK(context && EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1);
  return context;
}

const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = fetched("SHA256");
  return algorithm;
}

}  // namespace

struct Sha256Hasher::Context {
  MdContext md;
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

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>(start(sha256_algorithm()))) {}
Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::update(Bytes bytes) {
  CHECK(EVP_DigestUpdate(context_->md.get(), bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Hasher::finish() {
  Sha256 digest;
  CHECK(EVP_DigestFinal_ex(context_->md.get(),
                           reinterpret_cast<unsigned char*>(digest.bytes.data()), nullptr) == 1);
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

Sha256 hmac_sha256(Bytes key, Bytes message) {
  Sha256 digest;
  unsigned int length = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(message.data()), message.size(),
             reinterpret_cast<unsigned char*>(digest.bytes.data()), &length) != nullptr);
  return digest;
}

std::array<std::byte, 16> md5(const Slices& slices) {
  static const EVP_MD* const algorithm = fetched("MD5");
  const MdContext context = start(algorithm);
  for (Bytes slice : slices) {
    CHECK(EVP_DigestUpdate(context.get(), slice.data(), slice.size()) == 1);
  }
  std::array<std::byte, 16> digest{};
  CHECK(EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()),
                           nullptr) == 1);
  return digest;
}

}  // namespace daybook::core
