// What most bytes of the strings in JSON are: plain ASCII, passed over 16 at a time, and whole
// UTF-8 sequences. Inner loops of json_events; pure.
#pragma once

#include <array>
#include <bit>
#include <cstddef>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace daybook::core {

// Bytes that a string may hold and that mean nothing but themselves.
inline constexpr std::array<bool, 256> kPlainJsonByte = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

// How many plain bytes there are before the first other one. Most bytes of most texts are.
inline std::size_t plain_bytes(const char* data, std::size_t size) {
  std::size_t at = 0;
#ifdef __SSE2__
  // Compared as signed bytes, whatever is not ASCII is below a space, as control characters are.
  const __m128i space = _mm_set1_epi8(0x20);
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  for (; at + sizeof(__m128i) <= size; at += sizeof(__m128i)) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + at));
    const __m128i other =
        _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(other));
    if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found));
  }
#endif
  while (at < size && kPlainJsonByte[static_cast<unsigned char>(data[at])]) ++at;
  return at;
}

// The length of a whole UTF-8 sequence (RFC 3629 section 4) of two to four bytes; 0 where there is
// none, or it may go on behind the text.
inline std::size_t wide_bytes(const char* data, std::size_t size) {
  if (size < 4) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(data[i]); };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned char lead = byte(0);
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool good = follows(1) && follows(2) && (lead != 0xE0 || byte(1) >= 0xA0) &&
                      (lead != 0xED || byte(1) <= 0x9F);
    return good ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool good = follows(1) && follows(2) && follows(3) && (lead != 0xF0 || byte(1) >= 0x90) &&
                      (lead != 0xF4 || byte(1) <= 0x8F);
    return good ? 4 : 0;
  }
  return 0;
}

}  // namespace daybook::core
