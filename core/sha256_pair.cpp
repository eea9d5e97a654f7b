#include "core/sha256_pair.hpp"

#include "core/check.hpp"

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace daybook::core {

#ifdef __x86_64__
namespace {

#define DAYBOOK_SHA __attribute__((target("sha,sse4.1"), always_inline))

// FIPS 180-4 section 4.2.2.
alignas(16) constexpr std::array<std::uint32_t, 64> kRounds = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The instructions want the working variables as ABEF and CDGH, most significant first.
struct Lane {
  __m128i abef, cdgh;
  __m128i abef_before, cdgh_before;
  __m128i schedule[4];  // the next 16 words of the message schedule
};

DAYBOOK_SHA inline __m128i load(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

DAYBOOK_SHA inline void store(void* to, __m128i value) {
  _mm_storeu_si128(static_cast<__m128i*>(to), value);
}

DAYBOOK_SHA inline void unpack(Lane& lane, const Sha256State& state) {
  const __m128i badc = _mm_shuffle_epi32(load(state.data()), 0xB1);
  const __m128i hgfe_reversed = _mm_shuffle_epi32(load(state.data() + 4), 0x1B);
  lane.abef = _mm_alignr_epi8(badc, hgfe_reversed, 8);
  lane.cdgh = _mm_blend_epi16(hgfe_reversed, badc, 0xF0);
}

DAYBOOK_SHA inline void pack(const Lane& lane, Sha256State& state) {
  const __m128i feba = _mm_shuffle_epi32(lane.abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(lane.cdgh, 0xB1);
  store(state.data(), _mm_blend_epi16(feba, dchg, 0xF0));
  store(state.data() + 4, _mm_alignr_epi8(dchg, feba, 8));
}

DAYBOOK_SHA inline void begin_block(Lane& lane, const std::byte* block) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  for (std::size_t i = 0; i < 4; ++i) {
    lane.schedule[i] = _mm_shuffle_epi8(load(block + 16 * i), big_endian);
  }
  lane.abef_before = lane.abef;
  lane.cdgh_before = lane.cdgh;
}

// Rounds 4 * group to 4 * group + 3, and the schedule of four groups later in this one's place.
DAYBOOK_SHA inline void four_rounds(Lane& lane, std::size_t group) {
  __m128i& words = lane.schedule[group % 4];
  const __m128i& words_1 = lane.schedule[(group + 1) % 4];
  const __m128i& words_2 = lane.schedule[(group + 2) % 4];
  const __m128i& words_3 = lane.schedule[(group + 3) % 4];
  const __m128i sum = _mm_add_epi32(words, load(&kRounds[4 * group]));
  lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, sum);
  lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, _mm_shuffle_epi32(sum, 0x0E));
  if (group < 12) {
    const __m128i partial =
        _mm_add_epi32(_mm_sha256msg1_epu32(words, words_1), _mm_alignr_epi8(words_3, words_2, 4));
    words = _mm_sha256msg2_epu32(partial, words_3);
  }
}

DAYBOOK_SHA inline void end_block(Lane& lane) {
  lane.abef = _mm_add_epi32(lane.abef, lane.abef_before);
  lane.cdgh = _mm_add_epi32(lane.cdgh, lane.cdgh_before);
}

__attribute__((target("sha,sse4.1"))) void hash_blocks(Sha256State& first, const std::byte* from_1,
                                                       Sha256State& second, const std::byte* from_2,
                                                       std::size_t blocks) {
  Lane lane_1;
  Lane lane_2;
  unpack(lane_1, first);
  unpack(lane_2, second);
  for (; blocks > 0; --blocks) {
    begin_block(lane_1, from_1);
    begin_block(lane_2, from_2);
#pragma clang loop unroll(full)
    for (std::size_t group = 0; group < 16; ++group) {
      four_rounds(lane_1, group);
      four_rounds(lane_2, group);
    }
    end_block(lane_1);
    end_block(lane_2);
    from_1 += kSha256BlockBytes;
    from_2 += kSha256BlockBytes;
  }
  pack(lane_1, first);
  pack(lane_2, second);
}

bool processor_has_sha() {
  unsigned int a = 0;
  unsigned int b = 0;
  unsigned int c = 0;
  unsigned int d = 0;
  constexpr unsigned int kSse41 = 1U << 19;  // leaf 1, ECX (Intel SDM, CPUID)
  constexpr unsigned int kSha = 1U << 29;    // leaf 7, EBX
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSse41) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
}

}  // namespace

bool can_hash_pairs() {
  static const bool can = processor_has_sha();
  return can;
}

void hash_pair(Sha256State& first, Bytes first_bytes, Sha256State& second, Bytes second_bytes) {
  CHECK(first_bytes.size() == second_bytes.size() && first_bytes.size() % kSha256BlockBytes == 0);
  hash_blocks(first, first_bytes.data(), second, second_bytes.data(),
              first_bytes.size() / kSha256BlockBytes);
}

#else

bool can_hash_pairs() {
  return false;
}

void hash_pair(Sha256State& /*first*/, Bytes /*first_bytes*/, Sha256State& /*second*/,
               Bytes /*second_bytes*/) {
  CHECK(false);
}

#endif

}  // namespace daybook::core
