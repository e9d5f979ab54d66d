/* Ratcliff-Obershelp blocks and longest common subsequence, exact.
 *
 * The pattern is difflib's `a`, the state its `b`, without junk: among all
 * common runs the longest, then the one that starts earliest in the pattern,
 * then earliest in the state; the same again on both sides of it. Not
 * symmetric.
 *
 * Only positions of the pattern whose symbol is in the state matter. For
 * each of them, a state of up to 64 symbols has one word with a bit per state
 * position; runs are found by shifting and masking words. Longer states walk
 * lists of positions. Both give the same blocks.
 *
 * A kf_align_state is immutable and may be shared by threads; a
 * kf_align_scratch belongs to one. */
#ifndef KATO_FAST_ALIGN_H
#define KATO_FAST_ALIGN_H

#include "kato_fast/alloc.h"
#include "kato_fast/cpu.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* pattern[i : i + k] equals state[j : j + k]. */
typedef struct {
    uint32_t i;
    uint32_t j;
    uint32_t k;
} kf_block;

typedef struct {
    uint32_t matched; /* sum of block lengths */
    uint32_t blocks;
    uint32_t first; /* i of the first block; 0 without blocks */
    uint32_t end;   /* i + k of the last block; 0 without blocks */
} kf_alignment;

typedef struct kf_align_state kf_align_state;
typedef struct kf_align_scratch kf_align_scratch;

/* Prepare a state of m symbol ids (at most KF_SYMBOLS_MAX), borrowed for the
 * call. KF_SYMBOL_NONE stands for a symbol that no pattern has. */
KF_MUST_USE kf_status kf_align_state_new(const kf_alloc *alloc,
                                         const uint32_t *ids, uint32_t m,
                                         kf_align_state **out, kf_error *err);
void kf_align_state_free(kf_align_state *state); /* NULL is allowed */

/* For tests and benchmarks, before anything is aligned: the kernels of a
 * level that kf_cpu_has, in place of those of kf_cpu_choose. */
void kf_align_state_force(kf_align_state *state, kf_cpu_level level);

/* Working memory for patterns of up to n_max symbols. */
KF_MUST_USE kf_status kf_align_scratch_new(const kf_alloc *alloc,
                                           const kf_align_state *state,
                                           uint32_t n_max,
                                           kf_align_scratch **out,
                                           kf_error *err);
void kf_align_scratch_free(kf_align_scratch *scratch); /* NULL is allowed */

/* Align one pattern of n symbol ids. Gives up, with *out all zero, where
 * fewer than `need` positions of the pattern occur in the state, since no
 * more than those can match. */
void kf_align(const kf_align_state *state, kf_align_scratch *scratch,
              const uint32_t *ids, uint32_t n, uint32_t need,
              kf_alignment *out);

/* The same, and the blocks in order of i; blocks has room for one more than
 * min(n, m). */
void kf_align_blocks(const kf_align_state *state, kf_align_scratch *scratch,
                     const uint32_t *ids, uint32_t n, kf_block *blocks,
                     kf_alignment *out);

/* Length of the longest common subsequence. */
uint32_t kf_align_lcs(const kf_align_state *state, kf_align_scratch *scratch,
                      const uint32_t *ids, uint32_t n);

/* Note the state symbols at positions from..end-1 of the pattern that the
 * last kf_align on this scratch looked at. */
void kf_align_note_seen(const kf_align_state *state, kf_align_scratch *scratch,
                        uint32_t from, uint32_t end);

/* Add what was noted to a set of state positions: bit j of
 * seen[(m + 63) / 64] words. */
void kf_align_collect_seen(const kf_align_state *state,
                           const kf_align_scratch *scratch, uint64_t *seen);

#endif
