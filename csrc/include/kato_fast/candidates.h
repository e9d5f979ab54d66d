/* From a state and a threshold to the patterns that can pass it.
 *
 * A pattern of n symbols matches a state of m where at least need(n + m)
 * symbols match, and no more can match than min(n, m) or than both have in
 * common. Dropping what those bounds exclude loses nothing. Plain values that
 * belong to one search. */
#ifndef KATO_FAST_CANDIDATES_H
#define KATO_FAST_CANDIDATES_H

#include "kato_fast/alloc.h"
#include "kato_fast/generation.h"
#include "kato_fast/root.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The least number of common symbols k that kf_is_similar takes, evaluated as
 * the host does, so that ties are never lost; total + 1 where no k up to total
 * is enough. Rounding is monotone, so every larger k passes as well. 0 where
 * threshold <= 0. */
uint32_t kf_candidates_need(kf_generation generation, double threshold,
                            uint32_t total);

/* need by pattern length, 0..longest; n + 1 for lengths n that can never pass
 * since no more than min(n, m) symbols match. Owned. */
KF_MUST_USE kf_status kf_candidates_needs(const kf_alloc *alloc,
                                          kf_generation generation,
                                          double threshold, uint32_t m,
                                          uint32_t longest, uint32_t **out,
                                          kf_error *err);

/* What the host's shipped index finds (its section 5.2), which loses
 * matches: patterns of a similar length that have one of the state's oldest
 * symbols. */
typedef struct {
    uint32_t first; /* length classes, inclusive */
    uint32_t last;
    uint32_t symbols[10]; /* global ids */
    uint32_t n_symbols;
    bool either;      /* a short state: one of both is enough */
    bool any_similar; /* some pattern has a similar length */
} kf_host_index;

/* any_similar is left false: only who knows all patterns can tell. */
void kf_host_index_ask(const uint32_t *state, uint32_t m, kf_host_index *out);
bool kf_host_index_is_similar(const kf_host_index *index, uint32_t n);
bool kf_host_index_finds(const kf_host_index *index, const uint32_t *ids,
                         uint32_t n);

#endif
