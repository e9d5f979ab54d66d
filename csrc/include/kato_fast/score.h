/* From candidates to matches, their scores and their rank.
 *
 * align: every candidate against the state; those that pass become matches,
 * in candidate order. score: the ensemble's figures, summed in that order as
 * the host does (its section 7.3): last bits decide the rank. rank: stable,
 * by potential, cut to what is asked for. */
#ifndef KATO_FAST_SCORE_H
#define KATO_FAST_SCORE_H

#include "kato_fast/align.h"
#include "kato_fast/candidates.h"
#include "kato_fast/knowledge.h"
#include "kato_fast/state.h"
#include "kato_fast/status.h"

#include <stddef.h>
#include <stdint.h>

#define KF_NO_FUTURE UINT32_MAX

/* One pattern that passed the threshold. */
typedef struct {
    const kf_pattern *pattern;
    uint64_t frequency;
    double similarity;
    double predictive_information;
    double potential;
    kf_alignment alignment;
    uint32_t row;
    uint32_t past_end;    /* events 0..past_end-1 are the past */
    uint32_t present_end; /* past_end..present_end-1 the present */
    uint32_t future;      /* index into futures, or KF_NO_FUTURE */
} kf_match;

typedef struct {
    kf_match *items; /* owned; in candidate order */
    size_t count;
    size_t capacity;
    uint64_t frequency; /* of all of them together */
} kf_matches;

/* Matches with an equal future: event by event the same symbols as often. */
typedef struct {
    const kf_pattern *pattern; /* the first member */
    uint32_t first_event;      /* where its future begins */
    uint64_t hash;
    uint64_t members;
    double weight;    /* sum of frequency * similarity */
    double aggregate; /* its share of all weights */
} kf_future;

typedef struct {
    kf_future *items; /* owned; in order of first member */
    size_t count;
    size_t capacity;
} kf_futures;

/* Align the candidates. regions: also find past, present and future, and note
 * which symbols of the state any present has (kf_align_was_seen). */
KF_MUST_USE kf_status kf_score_align(const kf_knowledge_view *knowledge,
                                     const kf_state *state,
                                     const kf_candidates *candidates,
                                     double threshold, bool regions,
                                     kf_align_scratch *scratch,
                                     kf_matches *out, kf_error *err);

/* Fill predictive_information, potential and future of every match. */
KF_MUST_USE kf_status kf_score_ensemble(const kf_alloc *alloc,
                                        kf_matches *matches, kf_futures *out,
                                        kf_error *err);

/* Indexes of the `limit` best matches, best first; *count of them. out:
 * owned. */
KF_MUST_USE kf_status kf_score_rank(const kf_alloc *alloc,
                                    const kf_matches *matches, size_t limit,
                                    uint32_t **out, size_t *count,
                                    kf_error *err);

/* Indexes of all futures by aggregate, heaviest first, equal ones as they
 * stand. out: owned, count items. */
KF_MUST_USE kf_status kf_score_order_futures(const kf_alloc *alloc,
                                             const kf_futures *futures,
                                             uint32_t **out, kf_error *err);

void kf_matches_free(const kf_alloc *alloc, kf_matches *matches);
void kf_futures_free(const kf_alloc *alloc, kf_futures *futures);

#endif
