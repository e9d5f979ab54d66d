#include "align_kernel.h"

#if defined(__aarch64__) && defined(__GNUC__)

#include <arm_neon.h>

#define KF_TARGET
#define KF_LANES 4

#include "align_runs.h"
#include "align_batch.h"
#include "align_pair.h"
#include "align_row.h"

/* The walk of two lanes. */
typedef struct {
    uint64x2_t allowed;
    uint64x2_t before;
    uint64x2_t hits;
    uint64x2_t ends;
    uint64x2_t taken;
    uint64x2_t symbols;
} two_walks;

KF_INLINE void
walk_two(two_walks *at, const kf_align_local *local,
         const kf_align_task *lanes, uint32_t i, uint32_t id_bytes,
         uint64x2_t bit)
{
    uint64x2_t mask = vcombine_u64(
        vcreate_u64(kf_align_mask(local, lanes[0].ids, i, id_bytes)),
        vcreate_u64(kf_align_mask(local, lanes[1].ids, i, id_bytes)));
    uint64x2_t is_end = vtstq_u64(vaddq_u64(at->before, at->before), mask);
    uint64x2_t bits = vandq_u64(mask, at->allowed);
    uint64x2_t is_taken = vtstq_u64(bits, bits);
    uint64x2_t up_to = veorq_u64(bits, vsubq_u64(bits, vdupq_n_u64(1)));
    at->hits = vorrq_u64(at->hits, vandq_u64(vtstq_u64(mask, mask), bit));
    at->ends = vorrq_u64(at->ends, vandq_u64(is_end, bit));
    at->taken = vorrq_u64(at->taken, vandq_u64(is_taken, bit));
    at->symbols = vorrq_u64(at->symbols, mask);
    at->allowed = vbicq_u64(at->allowed, vandq_u64(up_to, is_taken));
    at->before = mask;
}

KF_INLINE void
store_two(const two_walks *at, walk *out, uint32_t lane)
{
    vst1q_u64(&out->hits[lane], at->hits);
    vst1q_u64(&out->ends[lane], at->ends);
    vst1q_u64(&out->taken[lane], at->taken);
    vst1q_u64(&out->symbols[lane], at->symbols);
}

/* Two words at a time, twice. */
KF_INLINE void
walk_lanes(const kf_align_local *local, const kf_align_task *lanes, uint32_t n,
           uint32_t id_bytes, walk *out)
{
    const uint64x2_t zero = vdupq_n_u64(0);
    const uint64x2_t all = vdupq_n_u64(~(uint64_t)0);
    two_walks low = {all, zero, zero, zero, zero, zero};
    two_walks high = low;
    uint64x2_t bit = vdupq_n_u64(1);
    for (uint32_t i = 0; i < n; i++) {
        walk_two(&low, local, lanes, i, id_bytes, bit);
        walk_two(&high, local, lanes + 2, i, id_bytes, bit);
        bit = vaddq_u64(bit, bit);
    }
    store_two(&low, out, 0);
    store_two(&high, out, 2);
}

KF_INLINE uint64x2_t
run_words(const uint64_t *below, uint32_t by, uint32_t i)
{
    uint64x2_t left = vld1q_u64(&below[i - by]);
    return vandq_u64(vshlq_u64(left, vdupq_n_s64((int64_t)by)),
                     vld1q_u64(&below[i]));
}

/* A bit of each word: whether it is not 0. */
KF_INLINE uint64_t
not_zero(uint64x2_t words)
{
    return (uint64_t)(vgetq_lane_u64(words, 0) != 0) |
           (uint64_t)(vgetq_lane_u64(words, 1) != 0) << 1;
}

KF_INLINE uint64_t
fill_many(const uint64_t *below, uint32_t by, uint32_t first, uint32_t last,
          uint64_t *level, uint64_t *columns)
{
    uint64x2_t all = vdupq_n_u64(0);
    uint64_t found = 0;
    for (uint32_t i = first; i <= last; i += 2) {
        uint64x2_t word = run_words(below, by, i);
        vst1q_u64(&level[i], word);
        all = vorrq_u64(all, word);
        found |= not_zero(word) << i;
    }
    *columns |= vgetq_lane_u64(all, 0) | vgetq_lane_u64(all, 1);
    return found;
}

KF_INLINE uint64_t
find_many(const uint64_t *below, uint32_t by, uint64_t rest, uint64_t allowed)
{
    const uint64x2_t wanted = vdupq_n_u64(allowed);
    while (rest != 0) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        uint64x2_t word = vandq_u64(run_words(below, by, i), wanted);
        uint64_t found = (not_zero(word) << i) & rest;
        if (found != 0) {
            return found;
        }
        rest &= ~((uint64_t)3 << i);
    }
    return 0;
}

/* There is no load from many addresses at once. */
KF_INLINE uint64_t
find_hits(const kf_align_table *table, const uint32_t *ids, uint32_t n)
{
    return find_hits_singly(table, ids, n);
}

static void
many(kf_align_local *local, uint32_t id_bytes, const kf_align_task *tasks,
     uint32_t count, kf_alignment *out, uint64_t *symbols)
{
    align_any(local, id_bytes, tasks, count, out, symbols);
}

const kf_align_variant kf_align_neon = {many, pair, lcs, row};

#endif
