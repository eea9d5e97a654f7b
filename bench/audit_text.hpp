// Audit JSON of our own making for machines without a corpus: one event a line, about as
// compressible as real audit logs (zstd level 1: 9 to 10 to 1), from made-up people and systems.
#pragma once

#include <cstdint>
#include <string>

namespace daybook::bench {

// Exactly `bytes` characters; the last line is cut. The same seed gives the same text.
[[nodiscard]] std::string make_audit_text(std::uint64_t bytes, std::uint64_t seed);

}  // namespace daybook::bench
