/* From a state and a threshold to the patterns that can pass it.
 *
 * Never loses one that the profile's search would find. Plain values that
 * belong to one search; the knowledge base's lock must be held. */
#ifndef KATO_FAST_CANDIDATES_H
#define KATO_FAST_CANDIDATES_H

#include "kato_fast/knowledge.h"
#include "kato_fast/status.h"

#include <stddef.h>
#include <stdint.h>

/* The least number of matched symbols k with
 * (double)(2.0 * k) / total >= threshold, evaluated as written, so that ties
 * are never lost; total + 1 where no k up to total is enough. Rounding is
 * monotone, so every larger k passes as well. 0 where threshold <= 0. */
uint32_t kf_candidates_need(double threshold, uint32_t total);

typedef struct {
    uint32_t *rows;      /* owned; in learning order */
    size_t count;
    uint32_t *need;      /* owned; by pattern length, 0..longest */
} kf_candidates;

/* state: m symbol ids, KF_SYMBOL_NONE for unknown ones. Patterns whose length
 * alone keeps them below the threshold are left out. */
KF_MUST_USE kf_status kf_candidates_find(const kf_knowledge_view *knowledge,
                                         const uint32_t *state, uint32_t m,
                                         double threshold, kf_candidates *out,
                                         kf_error *err);
void kf_candidates_free(const kf_knowledge_view *knowledge,
                        kf_candidates *candidates);

#endif
