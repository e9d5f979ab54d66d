#include "align_kernel.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define KF_TARGET __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#define KF_LANES 4

#include "align_runs.h"
#include "align_batch.h"
#include "align_pair.h"
#include "align_row.h"

/* `set` with the bit of every lane in which word is not 0. */
KF_TARGET KF_INLINE __m256i
mark(__m256i set, __m256i word, __m256i bit)
{
    __m256i none = _mm256_cmpeq_epi64(word, _mm256_setzero_si256());
    return _mm256_or_si256(set, _mm256_andnot_si256(none, bit));
}

/* Four words at a time. */
KF_TARGET KF_INLINE void
walk_lanes(const kf_align_local *local, const kf_align_task *lanes, uint32_t n,
           uint32_t id_bytes, walk *out)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i minus_one = _mm256_set1_epi64x(-1);
    __m256i allowed = minus_one;
    __m256i before = zero;
    __m256i hits = zero;
    __m256i ends = zero;
    __m256i taken = zero;
    __m256i symbols = zero;
    __m256i bit = _mm256_set1_epi64x(1);
    for (uint32_t i = 0; i < n; i++) {
        __m256i mask = _mm256_set_epi64x(
            (long long)kf_align_mask(local, lanes[3].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[2].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[1].ids, i, id_bytes),
            (long long)kf_align_mask(local, lanes[0].ids, i, id_bytes));
        __m256i both =
            _mm256_and_si256(_mm256_add_epi64(before, before), mask);
        __m256i bits = _mm256_and_si256(mask, allowed);
        __m256i none = _mm256_cmpeq_epi64(bits, zero);
        __m256i up_to =
            _mm256_xor_si256(bits, _mm256_add_epi64(bits, minus_one));
        hits = mark(hits, mask, bit);
        ends = mark(ends, both, bit);
        symbols = _mm256_or_si256(symbols, mask);
        taken = _mm256_or_si256(taken, _mm256_andnot_si256(none, bit));
        up_to = _mm256_andnot_si256(none, up_to);
        allowed = _mm256_andnot_si256(up_to, allowed);
        before = mask;
        bit = _mm256_add_epi64(bit, bit);
    }
    _mm256_storeu_si256((__m256i *)out->hits, hits);
    _mm256_storeu_si256((__m256i *)out->ends, ends);
    _mm256_storeu_si256((__m256i *)out->taken, taken);
    _mm256_storeu_si256((__m256i *)out->symbols, symbols);
}

KF_TARGET KF_INLINE __m256i
run_words(const uint64_t *below, __m128i by, uint32_t i, uint32_t i_before)
{
    __m256i left = _mm256_loadu_si256((const __m256i *)&below[i_before]);
    __m256i here = _mm256_loadu_si256((const __m256i *)&below[i]);
    return _mm256_and_si256(_mm256_sll_epi64(left, by), here);
}

/* A bit of each word: whether it is not 0. */
KF_TARGET KF_INLINE uint64_t
not_zero(__m256i words)
{
    __m256i none = _mm256_cmpeq_epi64(words, _mm256_setzero_si256());
    return ~(uint64_t)_mm256_movemask_pd(_mm256_castsi256_pd(none)) & 15;
}

KF_TARGET KF_INLINE uint64_t
fill_many(const uint64_t *below, uint32_t by, uint32_t first, uint32_t last,
          uint64_t *level, uint64_t *columns)
{
    const __m128i shift = _mm_cvtsi32_si128((int)by);
    __m256i all = _mm256_setzero_si256();
    uint64_t words[4];
    uint64_t found = 0;
    for (uint32_t i = first; i <= last; i += 4) {
        __m256i word = run_words(below, shift, i, i - by);
        _mm256_storeu_si256((__m256i *)&level[i], word);
        all = _mm256_or_si256(all, word);
        found |= not_zero(word) << i;
    }
    _mm256_storeu_si256((__m256i *)words, all);
    *columns |= words[0] | words[1] | words[2] | words[3];
    return found;
}

KF_TARGET KF_INLINE uint64_t
find_many(const uint64_t *below, uint32_t by, uint64_t rest, uint64_t allowed)
{
    const __m256i wanted = _mm256_set1_epi64x((long long)allowed);
    const __m128i shift = _mm_cvtsi32_si128((int)by);
    while (rest != 0) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        __m256i word =
            _mm256_and_si256(run_words(below, shift, i, i - by), wanted);
        uint64_t found = (not_zero(word) << i) & rest;
        if (found != 0) {
            return found;
        }
        rest &= ~((uint64_t)15 << i);
    }
    return 0;
}

/* Eight at a time. What is behind the pattern is not read. */
KF_TARGET KF_INLINE uint64_t
find_hits(const kf_align_table *table, const uint32_t *ids, uint32_t n)
{
    const int *keys = (const int *)&table->slots[0].key;
    const __m256i multiplier = _mm256_set1_epi32((int)table->multiplier);
    const __m128i shift = _mm_cvtsi32_si128((int)table->shift);
    __m256i left = _mm256_sub_epi32(_mm256_set1_epi32((int)n),
                                    _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    uint64_t hits = 0;
    for (uint32_t i = 0; i < n; i += 8) {
        __m256i inside = _mm256_cmpgt_epi32(left, _mm256_setzero_si256());
        __m256i some = _mm256_maskload_epi32((const int *)ids + i, inside);
        __m256i slots =
            _mm256_srl_epi32(_mm256_mullo_epi32(some, multiplier), shift);
        __m256i found =
            _mm256_i32gather_epi32(keys, _mm256_slli_epi32(slots, 2), 4);
        __m256i same =
            _mm256_and_si256(_mm256_cmpeq_epi32(found, some), inside);
        uint32_t word =
            (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(same));
        hits |= (uint64_t)word << i;
        left = _mm256_sub_epi32(left, _mm256_set1_epi32(8));
    }
    return hits;
}

KF_TARGET static void
many(kf_align_local *local, uint32_t id_bytes, const kf_align_task *tasks,
     uint32_t count, kf_alignment *out, uint64_t *symbols)
{
    align_any(local, id_bytes, tasks, count, out, symbols);
}

const kf_align_variant kf_align_avx2 = {many, pair, lcs, row};

#endif
