#include "align_kernel.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define KF_TARGET                                                          \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx2,bmi,bmi2,lzcnt," \
                          "popcnt")))
#define KF_LANES 8

#include "align_runs.h"
#include "align_batch.h"
#include "align_pair.h"
#include "align_row.h"

/* The bits of a comparison. Not by a conversion: GCC 12 spills that with a
 * 16-bit store to a word of 64, and leaves what was above them. */
KF_TARGET KF_INLINE uint64_t
mask_bits(__mmask16 mask)
{
    uint32_t bits;
    __asm__("kmovw %1, %0" : "=r"(bits) : "k"(mask));
    return bits;
}

/* Of eight lanes; what the register holds behind them is not said. */
KF_TARGET KF_INLINE uint64_t
nonzero_lanes(__m512i words, __m512i wanted)
{
    return mask_bits(_mm512_test_epi64_mask(words, wanted)) & 255;
}

/* Eight words at a time. */
KF_TARGET KF_INLINE void
walk_lanes(const kf_align_local *local, const kf_align_task *lanes, uint32_t n,
           uint32_t id_bytes, walk *out)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i minus_one = _mm512_set1_epi64(-1);
    __m512i allowed = minus_one;
    __m512i before = zero;
    __m512i hits = zero;
    __m512i ends = zero;
    __m512i taken = zero;
    __m512i symbols = zero;
    __m512i bit = _mm512_set1_epi64(1);
    for (uint32_t i = 0; i < n; i++) {
        __m512i mask = _mm512_set_epi64(
            (long long)kf_align_mask(local, lanes[7].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[6].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[5].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[4].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[3].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[2].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[1].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[0].ids, i, id_bytes));
        __m512i bits = _mm512_and_si512(mask, allowed);
        __m512i up_to =
            _mm512_xor_si512(bits, _mm512_add_epi64(bits, minus_one));
        __mmask8 is_hit = _mm512_test_epi64_mask(mask, mask);
        __mmask8 is_end =
            _mm512_test_epi64_mask(_mm512_add_epi64(before, before), mask);
        __mmask8 is_taken = _mm512_test_epi64_mask(bits, bits);
        hits = _mm512_mask_or_epi64(hits, is_hit, hits, bit);
        ends = _mm512_mask_or_epi64(ends, is_end, ends, bit);
        taken = _mm512_mask_or_epi64(taken, is_taken, taken, bit);
        symbols = _mm512_or_si512(symbols, mask);
        allowed = _mm512_mask_andnot_epi64(allowed, is_taken, up_to, allowed);
        before = mask;
        bit = _mm512_add_epi64(bit, bit);
    }
    _mm512_storeu_si512(out->hits, hits);
    _mm512_storeu_si512(out->ends, ends);
    _mm512_storeu_si512(out->taken, taken);
    _mm512_storeu_si512(out->symbols, symbols);
}

KF_TARGET KF_INLINE __m512i
run_words(const uint64_t *below, __m128i by, uint32_t i, uint32_t i_before)
{
    __m512i left = _mm512_loadu_si512(&below[i_before]);
    __m512i here = _mm512_loadu_si512(&below[i]);
    return _mm512_and_si512(_mm512_sll_epi64(left, by), here);
}

KF_TARGET KF_INLINE uint64_t
fill_many(const uint64_t *below, uint32_t by, uint32_t first, uint32_t last,
          uint64_t *level, uint64_t *columns)
{
    const __m128i shift = _mm_cvtsi32_si128((int)by);
    __m512i all = _mm512_setzero_si512();
    uint64_t found = 0;
    for (uint32_t i = first; i <= last; i += 8) {
        __m512i word = run_words(below, shift, i, i - by);
        _mm512_storeu_si512(&level[i], word);
        all = _mm512_or_si512(all, word);
        found |= nonzero_lanes(word, word) << i;
    }
    *columns |= (uint64_t)_mm512_reduce_or_epi64(all);
    return found;
}

KF_TARGET KF_INLINE uint64_t
find_many(const uint64_t *below, uint32_t by, uint64_t rest, uint64_t allowed)
{
    const __m512i wanted = _mm512_set1_epi64((long long)allowed);
    const __m128i shift = _mm_cvtsi32_si128((int)by);
    while (rest != 0) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        __m512i word = run_words(below, shift, i, i - by);
        uint64_t found = (nonzero_lanes(word, wanted) << i) & rest;
        if (found != 0) {
            return found;
        }
        rest &= ~((uint64_t)255 << i);
    }
    return 0;
}

/* Sixteen at a time. What is behind the pattern is not read. */
KF_TARGET KF_INLINE uint64_t
find_hits(const kf_align_table *table, const uint32_t *ids, uint32_t n)
{
    const uint32_t *keys = &table->slots[0].key;
    const __m512i multiplier = _mm512_set1_epi32((int)table->multiplier);
    const __m128i shift = _mm_cvtsi32_si128((int)table->shift);
    uint64_t inside = bits_below(n);
    uint64_t hits = 0;
    for (uint32_t i = 0; i < n; i += 16) {
        __mmask16 here = (__mmask16)(inside >> i);
        __m512i some = _mm512_maskz_loadu_epi32(here, ids + i);
        __m512i slots =
            _mm512_srl_epi32(_mm512_mullo_epi32(some, multiplier), shift);
        __m512i found =
            _mm512_i32gather_epi32(_mm512_slli_epi32(slots, 2), keys, 4);
        hits |= mask_bits(_mm512_mask_cmpeq_epi32_mask(here, found, some))
                << i;
    }
    return hits;
}

KF_TARGET static void
many(kf_align_local *local, uint32_t id_bytes, const kf_align_task *tasks,
     uint32_t count, kf_alignment *out, uint64_t *symbols)
{
    align_any(local, id_bytes, tasks, count, out, symbols);
}

const kf_align_variant kf_align_avx512 = {many, pair, lcs, row};

#endif
