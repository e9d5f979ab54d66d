/* Counting postings 512 patterns at a time, with AVX-512 F, BW and VL. */
#include "postings.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define TARGET      \
    __attribute__(( \
        target("avx512f,avx512bw,avx512vl,avx2,bmi,bmi2,lzcnt,popcnt")))
#define VEC_WORDS 8

TARGET static inline uint64_t
bits_of(const uint8_t *counters, unsigned bit)
{
    return _mm512_test_epi8_mask(_mm512_load_si512(counters),
                                 _mm512_set1_epi8((char)(1u << bit)));
}

TARGET static inline uint64_t
at_least(const uint8_t *counters, uint32_t need)
{
    return _mm512_cmpge_epu8_mask(_mm512_load_si512(counters),
                                  _mm512_set1_epi8((char)need));
}

TARGET static inline void
put_eight(uint16_t *to, const uint8_t *bits, uint16_t base)
{
    __m128i items = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)bits));
    _mm_storeu_si128((__m128i *)to,
                     _mm_add_epi16(items, _mm_set1_epi16((short)base)));
}

#include "postings_kernel.h"

const kf_postings_kernel kf_postings_avx512 = {sweep, add};

#endif
