#include "core/base64.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace daybook::core {
namespace {

constexpr std::uint8_t kNone = 0xFF;
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

std::size_t decode_plainly(std::string_view text, MutableBytes room) {
  const std::size_t groups = std::min(text.size() / 4, room.size() / 3);
  const auto* in = reinterpret_cast<const unsigned char*>(text.data());
  std::byte* out = room.data();
  for (std::size_t group = 0; group < groups; ++group, in += 4, out += 3) {
    const std::uint32_t a = kValues[in[0]];
    const std::uint32_t b = kValues[in[1]];
    const std::uint32_t c = kValues[in[2]];
    const std::uint32_t d = kValues[in[3]];
    if (((a | b | c | d) & 0xC0) != 0) return group;
    const std::uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    out[0] = static_cast<std::byte>(bits >> 16);
    out[1] = static_cast<std::byte>(bits >> 8);
    out[2] = static_cast<std::byte>(bits);
  }
  return groups;
}

#ifdef __x86_64__
// 32 characters at a time. The upper four bits of a character choose, by a table, the least and the
// greatest character that are allowed with them and what makes a value of it; only '+' and '/'
// share theirs with strangers. What is not ASCII is negative, so below every least.
__attribute__((target("avx2"))) std::size_t decode_wide(std::string_view text, MutableBytes room) {
  const auto table = [](char of2, char of3, char of4, char of5, char of6, char of7,
                        char other) __attribute__((target("avx2"))) {
    const __m128i half = _mm_setr_epi8(other, other, of2, of3, of4, of5, of6, of7, other, other,
                                       other, other, other, other, other, other);
    return _mm256_broadcastsi128_si256(half);
  };
  const __m256i least = table('+', '0', 'A', 'P', 'a', 'p', 0x7F);
  const __m256i greatest = table('/', '9', 'O', 'Z', 'o', 'z', 0);
  const __m256i shift = table(62 - '+', 52 - '0', -'A', -'A', 26 - 'a', 26 - 'a', 0);
  const __m256i slash = _mm256_set1_epi8('/');
  const __m256i slash_shift = _mm256_set1_epi8(63 - '/' - (62 - '+'));
  const __m256i plus = _mm256_set1_epi8('+');
  const __m256i nibble = _mm256_set1_epi8(0x0F);
  // Four times six bits, lowest address first, become three bytes in that order.
  const __m256i pairs = _mm256_set1_epi32(0x01400140);
  const __m256i quads = _mm256_set1_epi32(0x00011000);
  const __m256i order = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
  const __m256i together = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);

  constexpr std::size_t kGroups = 8;
  std::size_t groups = 0;
  // A whole register is stored, of which 24 bytes count.
  while (text.size() - groups * 4 >= sizeof(__m256i) &&
         room.size() - groups * 3 >= sizeof(__m256i)) {
    const __m256i in =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + groups * 4));
    const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(in, 4), nibble);
    const __m256i is_slash = _mm256_cmpeq_epi8(in, slash);
    const __m256i in_two = _mm256_cmpeq_epi8(upper, _mm256_set1_epi8(2));
    const __m256i stranger =
        _mm256_andnot_si256(_mm256_or_si256(is_slash, _mm256_cmpeq_epi8(in, plus)), in_two);
    const __m256i outside =
        _mm256_or_si256(_mm256_cmpgt_epi8(_mm256_shuffle_epi8(least, upper), in),
                        _mm256_cmpgt_epi8(in, _mm256_shuffle_epi8(greatest, upper)));
    if (_mm256_movemask_epi8(_mm256_or_si256(outside, stranger)) != 0) break;
    const __m256i values = _mm256_add_epi8(_mm256_add_epi8(in, _mm256_shuffle_epi8(shift, upper)),
                                           _mm256_and_si256(is_slash, slash_shift));
    const __m256i bits = _mm256_madd_epi16(_mm256_maddubs_epi16(values, pairs), quads);
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(bits, order), together);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(room.data() + groups * 3), bytes);
    groups += kGroups;
  }
  return groups;
}
#endif

}  // namespace

int base64_value(char c) {
  const std::uint8_t value = kValues[static_cast<unsigned char>(c)];
  return value == kNone ? -1 : value;
}

char base64_char(std::uint32_t six_bits) {
  return kAlphabet[six_bits];
}

std::size_t decode_base64_groups(std::string_view text, MutableBytes room) {
  std::size_t groups = 0;
#ifdef __x86_64__
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) groups = decode_wide(text, room);
#endif
  return groups + decode_plainly(text.substr(groups * 4), room.subspan(groups * 3));
}

}  // namespace daybook::core
