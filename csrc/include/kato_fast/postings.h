/* Counting how many symbols of a state each pattern of a segment has.
 *
 * With multiset semantics: the overlap of a pattern and a state is the sum,
 * over the state's distinct symbols, of the smaller of both counts. The list
 * of the k-th occurrence of a symbol turns that into counting in how many of
 * the state's lists a pattern stands. No more symbols than that can match,
 * so a pattern with fewer than it needs can be left out and nothing is lost.
 *
 * Three plans, chosen per segment by cost: bit-sliced adding of bitmaps for
 * dense lists, byte counters for thin ones, a touched list where there are
 * hardly any postings. All give the same set. A kf_postings_scratch belongs to
 * one thread. */
#ifndef KATO_FAST_POSTINGS_H
#define KATO_FAST_POSTINGS_H

#include "kato_fast/alloc.h"
#include "kato_fast/segment.h"
#include "kato_fast/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct kf_postings_scratch kf_postings_scratch;

KF_MUST_USE kf_status kf_postings_scratch_new(const kf_alloc *alloc,
                                              kf_postings_scratch **out,
                                              kf_error *err);
void kf_postings_scratch_free(kf_postings_scratch *scratch);

/* One distinct symbol of the state. */
typedef struct {
    uint32_t symbol; /* local to the segment */
    uint32_t count;  /* occurrences in the state */
} kf_postings_key;

/* Locals of the patterns whose overlap is at least need[their length],
 * ascending, into out (room for KF_SEGMENT_ROWS). Returns how many. need: by
 * length, at least 1 everywhere; lengths that cannot pass have a need larger
 * than themselves. keys: distinct symbols. */
uint32_t kf_postings_candidates(const kf_segment *segment,
                                const kf_postings_key *keys, uint32_t n_keys,
                                const uint32_t *need,
                                kf_postings_scratch *scratch, uint16_t *out);

#endif
