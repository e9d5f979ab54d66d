/* Ratcliff-Obershelp over the positions of a pattern that occur in a state
 * of up to 64 symbols, each with the word of its state positions.
 *
 * Pure; the working memory is the caller's, one thread at a time. */
#ifndef KATO_FAST_ALIGN_WORDS_H
#define KATO_FAST_ALIGN_WORDS_H

#include "kato_fast/align.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t count;
    uint32_t *at;    /* count positions in the pattern, ascending */
    uint64_t *mask;  /* count words: bit j of the k-th is set where the state
                      * has its symbol at j */
    uint64_t *level; /* room for count words */
    bool has_runs;   /* two of them may stand in a row in both */
} kf_align_words;

/* The alignment with a state of m symbols, and the blocks in order of i where
 * blocks is not NULL. */
void kf_align_words_run(kf_align_words *words, uint32_t m, kf_block *blocks,
                        kf_alignment *out);

#endif
