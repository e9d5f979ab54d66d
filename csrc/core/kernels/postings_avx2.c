/* Counting postings 256 patterns at a time, with AVX2. */
#include "postings.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#define VEC_WORDS 4

TARGET static inline uint64_t
two_masks(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

/* Shifted to the top of each byte; what comes over from the byte below it
 * is not the top bit. */
TARGET static inline uint64_t
bits_of(const uint8_t *counters, unsigned bit)
{
    const __m256i *at = (const __m256i *)counters;
    __m128i up = _mm_cvtsi32_si128((int)(7 - bit));
    return two_masks(_mm256_sll_epi16(_mm256_load_si256(at), up),
                     _mm256_sll_epi16(_mm256_load_si256(at + 1), up));
}

TARGET static inline uint64_t
at_least(const uint8_t *counters, uint32_t need)
{
    const __m256i *at = (const __m256i *)counters;
    __m256i each = _mm256_set1_epi8((char)need);
    __m256i low = _mm256_load_si256(at);
    __m256i high = _mm256_load_si256(at + 1);
    return two_masks(_mm256_cmpeq_epi8(_mm256_max_epu8(low, each), low),
                     _mm256_cmpeq_epi8(_mm256_max_epu8(high, each), high));
}

#include "postings_emit.h"
#include "postings_kernel.h"

const kf_postings_kernel kf_postings_avx2 = {sweep, add};

#endif
