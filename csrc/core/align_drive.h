/* The recursion of Ratcliff-Obershelp, for every way to look for the longest
 * run that has no kernel of its own. Internal.
 *
 * Inlined into its callers, so that what they hand over are plain calls. */
#ifndef KATO_FAST_ALIGN_DRIVE_H
#define KATO_FAST_ALIGN_DRIVE_H

#include "kato_fast/align.h"

/* Matched positions low..high-1 of the pattern against the state's positions
 * from..to-1; `behind` symbols of the block that ends where it begins; no run
 * longer than `most`, that of the area it is a part of, 0: unknown. */
typedef struct {
    uint32_t low;
    uint32_t high;
    uint32_t from;
    uint32_t to;
    uint32_t behind;
    uint32_t most;
} kf_align_area;

/* Where blocks go, in order: counted, and stored where blocks is not NULL. */
typedef struct {
    kf_alignment sum;
    kf_block *blocks;
} kf_align_sink;

/* The longest run of the area: out->k is 0 where there is none. *end is the
 * matched position at which it ends. */
typedef void kf_align_longest(void *of, const kf_align_area *area,
                              kf_block *out, uint32_t *end);

/* All of an area where no run is longer than one symbol: a walk from left to
 * right that takes the earliest allowed position each time, since nothing is
 * left of the first choice, and the rest has no longer run either. */
typedef void kf_align_walk(void *of, const kf_align_area *area,
                           kf_align_sink *to);

/* Bits from..to-1, all at most 64. */
static inline uint64_t
kf_align_bits(uint32_t from, uint32_t to)
{
    uint64_t below = to == 64 ? ~(uint64_t)0 : ((uint64_t)1 << to) - 1;
    return from >= to ? 0 : below & (~(uint64_t)0 << from);
}

static inline void
kf_align_emit(kf_align_sink *to, kf_block block)
{
    to->sum.first = to->sum.blocks == 0 ? block.i : to->sum.first;
    to->sum.end = block.i + block.k;
    if (to->blocks != NULL) {
        to->blocks[to->sum.blocks] = block;
    }
    to->sum.blocks++;
    to->sum.matched += block.k;
}

/* at: matched position to position in the pattern. areas: room for one more
 * than there can be blocks of two symbols or more. */
static inline __attribute__((always_inline)) void
kf_align_drive(void *of, kf_align_longest *longest, kf_align_walk *walk,
               kf_align_area whole, const uint32_t *at, kf_align_area *areas,
               kf_align_sink *to)
{
    uint32_t left = 1;
    areas[0] = whole;
    while (left > 0) {
        kf_align_area here = areas[--left];
        kf_block block = {0, 0, 0};
        uint32_t end = 0;
        if (here.behind != 0) {
            uint32_t k = here.behind;
            kf_align_emit(
                to, (kf_block){at[here.low - 1] + 1 - k, here.from - k, k});
        }
        for (;;) {
            longest(of, &here, &block, &end);
            if (block.k <= 1) {
                break;
            }
            areas[left++] =
                (kf_align_area){end + 1, here.high, block.j + block.k,
                                here.to, block.k,   block.k};
            here = (kf_align_area){
                here.low, end + 1 - block.k, here.from, block.j, 0, block.k};
        }
        if (block.k == 1) {
            walk(of, &here, to);
        }
    }
}

#endif
