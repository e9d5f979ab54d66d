/* What a state and the working memory of aligning consist of, and the way of
 * states of more than 64 symbols: lists of positions. Internal to align.c and
 * align_lists.c. */
#ifndef KATO_FAST_ALIGN_LISTS_H
#define KATO_FAST_ALIGN_LISTS_H

#include "align_drive.h"
#include "kernels/align_kernel.h"

/* Of KF_SYMBOLS_MAX symbols none has it. */
#define KF_NO_NUMBER UINT16_MAX

/* The symbols of the state in a hash table, see align_kernel.h. `perfect`: no
 * two symbols share a slot, so one look is enough; otherwise linear probing
 * from there. */
struct kf_align_state {
    kf_alloc alloc;
    kf_align_table table;
    uint32_t n_distinct;
    uint32_t slots_mask;
    bool perfect;
    kf_align_slot *slots; /* owned; the table's */
    const kf_align_variant *variant;
    uint32_t *starts;  /* m > 64, by number, n_distinct + 1 */
    uint32_t *places;  /* m > 64: ascending positions, symbol after symbol */
    uint16_t *numbers; /* m > 64, by position; KF_NO_NUMBER: unknown */
    /* m > 64: symbols that stand at as many positions as a mask of all of
     * them has words, of which there are at most 64, have one. */
    uint8_t *has_mask; /* by number: 0, or its number among those + 1 */
    uint64_t *masks;
};

struct kf_align_scratch {
    kf_alloc alloc;
    uint32_t n_max;
    kf_align_rows *rows; /* a pair for the kernels: n <= 64, table perfect */
    uint64_t hits;       /* of the pair at hand */
    bool is_pair;        /* the last pattern was one */
    uint32_t count;      /* other patterns: matched positions */
    bool has_runs;       /* m <= 64: two of them may stand in a row in both */
    uint32_t *at;        /* their positions in the pattern */
    uint64_t *mask;      /* m <= 64: their state positions */
    uint64_t *level;     /* m <= 64: ends of runs of the length at hand */
    uint32_t *number;    /* m > 64: their symbols */
    uint16_t *run;       /* m > 64: run length by state position, shifted by
                          * 1; all 0 between searches */
    uint16_t *next_run;
    /* m > 64: no run that ends at the matched position, at the position of the
     * state, is longer in the area that it is in. */
    uint16_t *bounds;
    uint16_t *columns;
    uint64_t *words;      /* m > 64: LCS state, and one symbol's positions */
    kf_align_area *areas; /* m > 64 */
    uint64_t seen_bits;   /* m <= 64: by position */
    bool *seen;           /* m > 64: by number */
};

/* Words of a mask of all positions of the state. */
static inline uint32_t
kf_align_words_of(const kf_align_state *state)
{
    return (state->table.m + KF_WORD_BITS - 1) / KF_WORD_BITS;
}

/* Of a symbol that has one. */
static inline uint64_t *
kf_align_mask_of(const kf_align_state *state, uint32_t number)
{
    size_t masks_before = state->has_mask[number] - (size_t)1;
    return state->masks + masks_before * kf_align_words_of(state);
}

/* kf_align_blocks (blocks may be NULL) and kf_align_lcs, where m > 64 and the
 * scratch has the matched positions of the pattern. */
void kf_align_lists_run(const kf_align_state *state, kf_align_scratch *scratch,
                        kf_block *blocks, kf_alignment *out);
uint32_t kf_align_lists_lcs(const kf_align_state *state,
                            kf_align_scratch *scratch);

#endif
