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

#include "postings_emit.h"
#include "postings_kernel.h"

const kf_postings_kernel kf_postings_avx512 = {sweep, add};

#endif
