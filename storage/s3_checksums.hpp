// The checksums an S3 service states about an object. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/digest.hpp"
#include "core/http/message.hpp"
#include "core/units.hpp"

namespace daybook::storage {

// Whether the answer to a PUT proves that the store holds these bytes: an ETag that is their MD5 or
// an x-amz-checksum-sha256 that is their digest, and nothing that contradicts it. Stores may have
// other ETags (encrypted or multipart objects); that proves nothing either way.
[[nodiscard]] bool confirms(const core::http::Fields& answer, core::Bytes md5,
                            const core::Sha256& sha256);
// The same for an object whose ETag is not the MD5 of its bytes: one of several parts.
[[nodiscard]] bool names_bytes(const core::http::Fields& answer, std::string_view etag,
                               const core::Sha256& sha256);

// Whether the bytes of a GET agree with the checksums beside them (SHA-256 and CRC-32; a checksum
// of checksums, "…-3", says nothing about the whole). Empty: they do; otherwise what does not.
[[nodiscard]] std::string contradiction(const core::http::Fields& answer, core::Bytes body);
// Whether there is anything that contradiction() would compare.
[[nodiscard]] bool states_checksum(const core::http::Fields& answer);

// CRC-32 of IEEE 802.3, as zip and S3 use it.
[[nodiscard]] std::uint32_t crc32(core::Bytes bytes);

}  // namespace daybook::storage
