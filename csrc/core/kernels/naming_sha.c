/* SHA-1 with the SHA extensions of x86. */
#include "naming.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define TARGET __attribute__((target("sha,sse4.1,ssse3")))

/* Four rounds with function f (a constant) on four words of the schedule. e
 * is the state four rounds ago; the instruction rotates what it needs. */
#define FOUR(f, words)                            \
    do {                                          \
        __m128i before = abcd;                    \
        e = _mm_sha1nexte_epu32(e, (words));      \
        abcd = _mm_sha1rnds4_epu32(abcd, e, (f)); \
        e = before;                               \
    } while (0)

/* The next four words, in the place of the oldest, a; b, c, d follow. */
#define NEXT(a, b, c, d)       \
    ((a) = _mm_sha1msg2_epu32( \
         _mm_xor_si128(_mm_sha1msg1_epu32((a), (b)), (c)), (d)))

/* Sixteen rounds on new words. */
#define SIXTEEN(f0, f1, f2, f3)     \
    FOUR(f0, NEXT(w0, w1, w2, w3)); \
    FOUR(f1, NEXT(w1, w2, w3, w0)); \
    FOUR(f2, NEXT(w2, w3, w0, w1)); \
    FOUR(f3, NEXT(w3, w0, w1, w2))

TARGET static inline __m128i
load_words(const uint8_t *at)
{
    const __m128i reversed =
        _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)at), reversed);
}

TARGET void
kf_sha1_blocks_sha(uint32_t state[5], const uint8_t *blocks, size_t n)
{
    __m128i abcd = _mm_shuffle_epi32(
        _mm_loadu_si128((const __m128i *)(const void *)state), 0x1b);
    __m128i e = _mm_set_epi32((int)state[4], 0, 0, 0);
    for (; n > 0; n--, blocks += 64) {
        const __m128i abcd_before = abcd, e_before = e;
        __m128i w0 = load_words(blocks);
        __m128i w1 = load_words(blocks + 16);
        __m128i w2 = load_words(blocks + 32);
        __m128i w3 = load_words(blocks + 48);
        /* The first e is not rotated: it is no round's a. */
        e = _mm_add_epi32(e, w0);
        {
            __m128i before = abcd;
            abcd = _mm_sha1rnds4_epu32(abcd, e, 0);
            e = before;
        }
        FOUR(0, w1);
        FOUR(0, w2);
        FOUR(0, w3);
        SIXTEEN(0, 1, 1, 1);
        SIXTEEN(1, 1, 2, 2);
        SIXTEEN(2, 2, 2, 3);
        SIXTEEN(3, 3, 3, 3);
        e = _mm_sha1nexte_epu32(e, e_before);
        abcd = _mm_add_epi32(abcd, abcd_before);
    }
    _mm_storeu_si128((__m128i *)(void *)state, _mm_shuffle_epi32(abcd, 0x1b));
    state[4] = (uint32_t)_mm_extract_epi32(e, 3);
}

#endif
